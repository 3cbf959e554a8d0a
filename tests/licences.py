#!/usr/bin/env python3
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every file says its licence: in its first lines, or by a line of REUSE.toml."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MARK = "SPDX-" + "License-Identifier: GPL-3.0-or-later"


def pattern(text: str) -> re.Pattern:
    """A path of REUSE.toml: * stays in a directory, ** does not."""
    parts = re.split(r"(\*\*/|\*\*|\*)", text)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
    return re.compile("".join(known.get(part, re.escape(part)) for part in parts))


def main() -> int:
    """Lists the files that say nothing."""
    listed = subprocess.check_output(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT).decode()
    said = [pattern(text) for text in re.findall(r'^    "(.+)",$', (ROOT / "REUSE.toml").read_text(), re.MULTILINE)]
    silent = []
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if not path.is_file() or name.startswith("LICENSES/") or any(one.fullmatch(name) for one in said):
            continue
        head = path.read_bytes()[:1000].decode(errors="replace")
        if MARK not in head and head.strip():
            silent.append(name)
    print("\n".join(f"{name}: no licence in its first lines, none in REUSE.toml" for name in silent) or "every file says its licence")
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main())
