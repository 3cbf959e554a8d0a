# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A machine: its directory in the cache, and the QEMU process that runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from lablib import catalog
from lablib.catalog import LabError

from . import board, image, inventory, qemu

SWAP = 256 * 2**20
EVERY = 10
SSH = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes")


def root():
    """Return the directory of all machines."""
    return catalog.cache("vm", "machines")


@dataclass
class Machine:
    """A machine. Its settings are in machine.json in its directory."""

    name: str
    memory: int = 3072
    cpus: int = 2
    base: str = ""
    board: bool = False

    @property
    def root_disk(self):
        """Return the path of the disk: a layer over the base, or for a board a copy that debugfs can read."""
        return self.folder / ("root.raw" if self.board else "root.qcow2")

    @property
    def folder(self):
        """Return the directory of disk, key, log and inventory."""
        return root() / self.name

    @property
    def port(self):
        """Return the port of 127.0.0.1 that is forwarded to the machine's SSH."""
        return int((self.folder / "port").read_text(encoding="utf-8"))

    def pid(self):
        """Return the PID of QEMU, or None. The PID in the file may belong to another process by now."""
        try:
            number = int((self.folder / "pid").read_text(encoding="utf-8"))
            words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return number if str(self.folder / "pid").encode() in words else None

    def create(self):
        """Create the directory, with a disk over the base."""
        base = image.ensure()
        self.base = str(base)
        self.folder.mkdir(parents=True, mode=0o700)
        if self.board:
            run("cp", "--sparse=always", str(base / "root.raw"), str(self.root_disk))
            board.prepare(self.root_disk)
        else:
            run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(base / "root.raw"), str(self.root_disk))
        with open(self.folder / "swap.raw", "wb") as file:
            file.truncate(SWAP)
        run("mkswap", "-q", "-L", "swap", str(self.folder / "swap.raw"))
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", str(self.folder / "id_ed25519"))
        made = {"memory": self.memory, "cpus": self.cpus, "base": self.base, "board": self.board}
        (self.folder / "machine.json").write_text(json.dumps(made), encoding="utf-8")

    def start(self):
        """Start the process and write the inventory."""
        for _attempt in range(3):  # another program can take the port before QEMU does
            port = free_port()
            done = self.launch(port)
            if "host forwarding rule" not in done.stderr:
                break
        if done.returncode:
            raise LabError(f"{self.name}: QEMU does not start: {done.stderr.strip()}")
        if self.board:
            board.watch(self)
        (self.folder / "port").write_text(str(port), encoding="utf-8")
        (self.folder / "inventory.yml").write_text(inventory.text(self), encoding="utf-8")

    def launch(self, port):
        """Start QEMU, which forks into the background."""
        return subprocess.run(qemu.command(self, Path(self.base), port), capture_output=True, text=True, check=False)

    def wait(self, seconds):
        """Wait until SSH works and print progress. Return the seconds it took."""
        started = reported = time.monotonic()
        while not (ssh_answers(self.port) and self.ssh("true", 20)):
            now = time.monotonic()
            if self.pid() is None:
                raise LabError(f"{self.name} ended while booting. Last console line: {self.last_console_line()}")
            if now - started > seconds:
                raise LabError(f"{self.name}: no SSH after {seconds} s. Last console line: {self.last_console_line()}")
            if now - reported >= EVERY:
                reported = now
                print(f"{self.name} is booting, {now - started:.0f} s: {self.last_console_line()}", flush=True)
            time.sleep(0.5)
        return time.monotonic() - started

    def ssh(self, command, seconds):
        """Return True if a command succeeds on the machine."""
        words = ["ssh", "-i", str(self.folder / "id_ed25519"), "-p", str(self.port), *SSH, "-o", "BatchMode=yes"]
        try:
            return subprocess.run([*words, "root@127.0.0.1", command], capture_output=True, timeout=seconds, check=False).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def last_console_line(self):
        """Return the last line of the console, or "nothing"."""
        try:
            lines = (self.folder / "serial.log").read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return "nothing"
        words = (re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x1f]", "", line).strip() for line in reversed(lines))
        return next((line for line in words if line), "nothing")[:120]

    def stop(self, seconds):
        """Press the machine's power button, and end the process if it still runs after `seconds`."""
        if seconds and self.pid() and press_power(self.folder / "monitor"):
            wait_until_stopped(self, seconds)
        for number in (signal.SIGTERM, signal.SIGKILL):
            pid = self.pid()
            if pid:
                os.kill(pid, number)
                wait_until_stopped(self, 10)

    def destroy(self):
        """Delete the machine, and bases that no machine needs any more."""
        self.stop(0)
        shutil.rmtree(self.folder)
        needed = {machine.base for machine in machines()} | {str(image.folder())}
        for base in image.folder().parent.glob("base-*"):
            if str(base) not in needed:
                shutil.rmtree(base)


def machines():
    """Return all machines."""
    return [load(path.parent.name) for path in sorted(root().glob("*/machine.json"))]


def load(name):
    """Return an existing machine. Raise LabError if it does not exist."""
    try:
        made = json.loads((root() / name / "machine.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LabError(f"There is no machine {name}. To create it, run `vm create {name}`.") from None
    return Machine(name, **made)


def run(*words):
    """Run a program. Raise LabError with its error output if it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{words[0]}: {done.stderr.strip() or done.stdout.strip()}")


def free_port():
    """Return a free port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ssh_answers(port, timeout=5):
    """Return True if an SSH server answers. QEMU itself accepts connections long before that."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def press_power(monitor):
    """Press the power button. Return False if QEMU does not listen."""
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(5)
            line.connect(str(monitor))
            line.recv(4096)
            line.sendall(b"system_powerdown\n")
            line.recv(4096)
            return True
    except OSError:
        return False


def wait_until_stopped(machine, seconds):
    """Wait until the process has ended, at most `seconds`."""
    end = time.monotonic() + seconds
    while machine.pid() and time.monotonic() < end:
        time.sleep(0.1)
