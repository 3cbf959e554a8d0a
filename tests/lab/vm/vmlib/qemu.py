# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""QEMU's command line, tuned for speed where the processor is emulated."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path

from . import board

HOST = "10.0.2.2"
KERNEL = (
    "root=/dev/nvme0n1 rw rootflags=noinit_itable console=ttyS0 mitigations=off"
    # The clock is read very often. Use the processor's counter: reading a clock device interrupts the emulation.
    " tsc=reliable"
    # Console output and probing for devices cost time too.
    " quiet systemd.show_status=1 systemd.log_color=0 TERM=dumb 8250.nr_uarts=1"
)
# Newer instructions are slow when emulated: SHA-256 with AVX2, CRC with PCLMULQDQ and AES with AES-NI take two to four
# times as long as without them, and copying with ERMS eight times as long. model-id shows that the CPU is emulated.
EMULATED = "Nehalem,fsgsbase=on,model-id=QEMU TCG CPU"


def accelerated(cpuinfo):
    """Return True if KVM can run the machine, from the text of /proc/cpuinfo.

    /dev/kvm can exist on a processor without virtualisation, where ordinary kernels do not boot.
    """
    wanted = os.environ.get("KUBEWRIGHT_VM_ACCEL")
    if wanted:
        return wanted == "kvm"
    return bool(re.search(r"^flags\s*:.*\b(vmx|svm)\b", cpuinfo, re.M)) and os.access("/dev/kvm", os.R_OK | os.W_OK)


def processor():
    """Return the arguments for accelerator and CPU."""
    if accelerated(Path("/proc/cpuinfo").read_text(encoding="utf-8")):
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", "tcg,thread=multi,tb-size=1024", "-cpu", EMULATED]


def disk(name, path, kind):
    """Return the arguments of an NVMe disk: its driver is built into the kernel. Writes are never flushed."""
    drive = f"if=none,id={name},file={path},format={kind},cache=unsafe,discard=unmap"
    return ["-drive", drive, "-device", f"nvme,drive={name},serial={name}"]


def command(machine, base, port):
    """Return the command line of a machine. On a board, a reboot ends the process, and QMP reports why it ended."""
    folder = machine.folder
    firmware = ["-no-reboot", "-qmp", f"unix:{folder / 'qmp'},server=on,wait=off"] if machine.board else []
    more = board.kernel(machine.root_disk) if machine.board else ""
    public = base64.b64encode((folder / "id_ed25519.pub").read_bytes()).decode()
    return [
        "qemu-system-x86_64",
        *("-name", machine.name, "-machine", "q35,usb=off,vmport=off", *processor()),
        *("-smp", str(machine.cpus), "-m", str(machine.memory), "-nodefaults", "-no-user-config", "-display", "none"),
        *("-kernel", str(base / "vmlinuz"), "-append", f"{KERNEL} systemd.hostname={machine.name}{more}"),
        *disk("root", machine.root_disk, machine.root_disk.suffix[1:]),
        *disk("swap", folder / "swap.raw", "raw"),
        *("-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22", "-device", "virtio-net-pci,netdev=net,romfile="),
        *("-device", "virtio-rng-pci", "-monitor", f"unix:{folder / 'monitor'},server=on,wait=off"),
        *("-smbios", f"type=11,value=io.systemd.credential.binary:ssh.authorized_keys.root={public}"),
        *firmware,
        *("-serial", f"file:{folder / 'serial.log'}", "-pidfile", str(folder / "pid"), "-daemonize"),
    ]
