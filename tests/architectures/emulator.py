# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run programs of other architectures: register QEMU in binfmt_misc."""

from __future__ import annotations

import contextlib
import dataclasses
import platform
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

BINFMT = Path("/proc/sys/fs/binfmt_misc")
# Entries with this prefix are ours; those of a killed run are replaced.
PREFIX = "kubewright-"


class EmulationError(Exception):
    """The kernel cannot run programs of other architectures. The message says why."""


@dataclasses.dataclass(frozen=True)
class Architecture:
    """`debian`, `machine`, `name`: its names in Debian, uname and Kubernetes. `elf`: its number in ELF headers."""

    debian: str
    machine: str
    name: str
    bits: int
    order: str
    elf: int
    qemu: str

    @property
    def signature(self) -> tuple[bytes, bytes]:
        """Return (magic, mask) for the first bytes of its programs: any OS ABI, executable or shared object."""
        kind = bytes([self.bits // 32, 1 if self.order == "little" else 2, 1])
        magic = b"\x7fELF" + kind + bytes(9) + (2).to_bytes(2, self.order) + self.elf.to_bytes(2, self.order)
        return magic, b"\xff" * 7 + b"\0" + b"\xff" * 8 + (0xFFFE).to_bytes(2, self.order) + b"\xff\xff"


ARCHITECTURES = {
    row.debian: row
    for row in (
        Architecture("arm64", "aarch64", "arm64", 64, "little", 183, "aarch64"),
        Architecture("armhf", "armv7l", "arm", 32, "little", 40, "arm"),
        Architecture("ppc64el", "ppc64le", "ppc64le", 64, "little", 21, "ppc64le"),
        Architecture("s390x", "s390x", "s390x", 64, "big", 22, "s390x"),
        Architecture("riscv64", "riscv64", "riscv64", 64, "little", 243, "riscv64"),
    )
}


def described(text: str) -> dict:
    """Parse an entry of binfmt_misc: the first line is its state, the others are a key and a value."""
    first, *lines = text.splitlines() or [""]
    found = dict(line.rstrip().partition(" ")[::2] for line in lines)
    # "flags:" has no value if there are none.
    return {"on": first == "enabled", "magic": found.get("magic", ""), "flags": found.get("flags:", "")}


def taken(one: Architecture) -> bool:
    """Return True if the host already emulates it in containers too: flag F opens the emulator outside of them."""
    entries = [path for path in BINFMT.iterdir() if path.name not in ("register", "status")]
    rows = [described(path.read_text()) for path in entries if not path.name.startswith(PREFIX)]
    return any(row["on"] and "F" in row["flags"] and row["magic"] == one.signature[0].hex() for row in rows)


def register(one: Architecture) -> Path:
    """Register the emulator of an architecture and return its entry."""
    program = shutil.which(f"qemu-{one.qemu}-static") or shutil.which(f"qemu-{one.qemu}")
    if not program:
        raise EmulationError(f"qemu-{one.qemu}-static is missing: run `apt-get install qemu-user-static`")
    magic, mask = ("".join(f"\\x{byte:02x}" for byte in part) for part in one.signature)
    entry = BINFMT / f"{PREFIX}{one.debian}"
    try:
        if (BINFMT / "status").read_text().strip() != "enabled":
            raise EmulationError(f"binfmt_misc is disabled: run `echo 1 > {BINFMT}/status`")
        remove(entry)
        (BINFMT / "register").write_text(f":{entry.name}:M::{magic}:{mask}:{program}:F")
    except OSError as error:
        raise EmulationError(f"{program} cannot be registered in {BINFMT} (needs root on the host): {error}") from error
    return entry


def remove(entry: Path) -> None:
    """Remove an entry if it exists."""
    if entry.exists():
        entry.write_text("-1")


@contextlib.contextmanager
def mounted() -> Iterator[None]:
    """Mount binfmt_misc where it is not mounted, as in containers and on small systems."""
    if (BINFMT / "register").exists():
        yield
        return
    done = subprocess.run(
        ["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise EmulationError(f"binfmt_misc cannot be mounted: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", BINFMT], capture_output=True, check=False)


@contextlib.contextmanager
def emulated(wanted: Iterable[Architecture]) -> Iterator[None]:
    """Register emulators for the duration of a with block."""
    with mounted():
        made: list[Path] = []
        try:
            for one in wanted:
                if platform.machine() != one.machine and not taken(one):
                    made.append(register(one))
            yield
        finally:
            for entry in made:
                remove(entry)
