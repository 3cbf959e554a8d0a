# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A virtual machine that boots like a Raspberry Pi.

The firmware reads the kernel's command line from a file on the disk at each boot. The memory cgroup is off unless
that line enables it.

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
    """Write the initial cmdline.txt to a disk that is not in use."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as text:
        text.write(FIRST)
        text.flush()
        debugfs(disk, "-w", "mkdir /boot/firmware")
        debugfs(disk, "-w", f"write {text.name} {FILE}")
    if kernel(disk).split()[:-1] != FIRST.split():
        raise LabError(f"{FILE} could not be written to {disk}.")


def kernel(disk):
    """Return the arguments to append to the kernel's command line, with a leading space."""
    words = debugfs(disk, f"cat {FILE}").split()
    off = [] if "cgroup_enable=memory" in words else ["cgroup_disable=memory"]
    return "".join(f" {word}" for word in words + off)


def debugfs(disk, *words):
    """Run a debugfs command on an ext4 disk that is not mounted, and return its output."""
    *flags, request = words
    return subprocess.run(["debugfs", *flags, "-R", request, str(disk)], capture_output=True, text=True, check=False).stdout


def watch(machine):
    """Start a background process that starts the machine again after each reboot, until it is shut down."""
    subprocess.Popen(
        [sys.executable, "-m", "vmlib.board", machine.name], start_new_session=True, stdin=subprocess.DEVNULL,
        stdout=(machine.folder / "firmware.log").open("ab"), stderr=subprocess.STDOUT, cwd=sys.path[0] or None,
    )  # fmt: skip


def reason(path):
    """Wait until QEMU shuts down. Return the reason (guest-reset is a reboot), or an empty string."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(path))
        line.sendall(b'{"execute": "qmp_capabilities"}\n')
        for text in line.makefile("r", encoding="utf-8"):
            event = json.loads(text)
            if event.get("event") == "SHUTDOWN":
                return event["data"].get("reason", "")
    return ""


def main(machine):
    """Start the machine again after each reboot."""
    while reason(machine.folder / "qmp") == "guest-reset":
        while machine.pid():  # QEMU still writes its disks
            time.sleep(0.1)
        print(f"{machine.name} boots with{kernel(machine.root_disk)}", flush=True)
        machine.launch(machine.port)


if __name__ == "__main__":
    from vmlib.machine import load

    main(load(sys.argv[1]))
