# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""QEMU's command line: what makes a machine quick, above all where the processor itself is emulated."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path

from . import board

HOST = "10.0.2.2"
KERNEL = (
    "root=/dev/nvme0n1 rw rootflags=noinit_itable console=ttyS0 mitigations=off"
    # The clock is read all the time: from the processor's counter, not from a device, each look at which stops the emulation.
    " tsc=reliable"
    # What is said on the console and looked for on the machine costs time too.
    " quiet systemd.show_status=1 systemd.log_color=0 TERM=dumb 8250.nr_uarts=1"
)
# Emulated, the newer instructions are slow: SHA-256 with AVX2, CRC with PCLMULQDQ and AES with AES-NI take two to four times
# as long as without, and copying bytes (ERMS) eight times as long as copying words. The name says what it is.
EMULATED = "Nehalem,fsgsbase=on,model-id=QEMU TCG CPU"


def accelerated(cpuinfo):
    """Whether hardware runs the machine, from the text of /proc/cpuinfo.

    /dev/kvm may be there where the processor offers no virtualisation: the kernels of ordinary systems do not start with it.
    """
    wanted = os.environ.get("KUBEWRIGHT_VM_ACCEL")
    if wanted:
        return wanted == "kvm"
    return bool(re.search(r"^flags\s*:.*\b(vmx|svm)\b", cpuinfo, re.M)) and os.access("/dev/kvm", os.R_OK | os.W_OK)


def processor():
    """The accelerator's arguments."""
    if accelerated(Path("/proc/cpuinfo").read_text(encoding="utf-8")):
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", "tcg,thread=multi,tb-size=1024", "-cpu", EMULATED]


def disk(name, path, kind):
    """A disk on NVMe, whose driver the kernel has built in. Nothing is flushed: nobody needs it after a crash of the host."""
    drive = f"if=none,id={name},file={path},format={kind},cache=unsafe,discard=unmap"
    return ["-drive", drive, "-device", f"nvme,drive={name},serial={name}"]


def command(machine, base, port):
    """The whole command line of a machine. A board's firmware is ours: a reboot ends the process, and QMP tells why it ended."""
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
