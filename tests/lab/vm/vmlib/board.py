# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A machine that starts as a Raspberry Pi does: its firmware reads the kernel's command line from a file on the disk at each boot, and its
kernel has the memory cgroup off unless that line switches it on.

https://github.com/raspberrypi/linux/blob/rpi-6.12.y/kernel/cgroup/cgroup.c (cgroup_enable, and cgroup_disable=memory as built in)
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time

from lablib.catalog import LabError

FILE = "/boot/firmware/cmdline.txt"
FIRST = "rootwait fsck.repair=yes\n"


def prepare(disk):
    """Puts the file on a disk that is not in use."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as text:
        text.write(FIRST)
        text.flush()
        debugfs(disk, "-w", "mkdir /boot/firmware")
        debugfs(disk, "-w", f"write {text.name} {FILE}")
    if kernel(disk).split()[:-1] != FIRST.split():
        raise LabError(f"{FILE} could not be put on {disk}")


def kernel(disk):
    """What comes to the kernel's command line, with a blank before."""
    words = debugfs(disk, f"cat {FILE}").split()
    off = [] if "cgroup_enable=memory" in words else ["cgroup_disable=memory"]
    return "".join(f" {word}" for word in words + off)


def debugfs(disk, *words):
    """What a command of debugfs says of an ext4 disk that is not mounted."""
    *flags, request = words
    return subprocess.run(["debugfs", *flags, "-R", request, str(disk)], capture_output=True, text=True, check=False).stdout


def watch(machine):
    """In the background: starts the machine anew after each reboot, until it is shut down or ended."""
    subprocess.Popen(
        [sys.executable, "-m", "vmlib.board", machine.name], start_new_session=True, stdin=subprocess.DEVNULL,
        stdout=(machine.folder / "firmware.log").open("ab"), stderr=subprocess.STDOUT, cwd=sys.path[0] or None,
    )  # fmt: skip


def reason(path):
    """Why the process ended, by its own word: guest-reset is a reboot. Empty where it just went."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(path))
        line.sendall(b'{"execute": "qmp_capabilities"}\n')
        for text in line.makefile("r", encoding="utf-8"):
            event = json.loads(text)
            if event.get("event") == "SHUTDOWN":
                return event["data"].get("reason", "")
    return ""


def main(machine):
    """Keeps one machine going."""
    while reason(machine.folder / "qmp") == "guest-reset":
        while machine.pid():  # it writes its disks first
            time.sleep(0.1)
        print(f"{machine.name} boots with{kernel(machine.root_disk)}", flush=True)
        machine.launch(machine.port)


if __name__ == "__main__":
    from vmlib.machine import load

    main(load(sys.argv[1]))
