# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of the documentation, and their parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# Written by hand. docs/reference is generated and is checked by docs/generate.py --check.
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])


def name_of(page: Path) -> str:
    """Return the name of a page for messages."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Yield (language, text) of each block of code, also of the indented ones."""
    text = page.read_text(encoding="utf-8")
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.S | re.M):
        yield language, block
    for block in re.findall(
        r"(?:^ {4}(?! *[-*0-9]).*\n)+", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M), flags=re.M
    ):
        yield "", re.sub(r"^ {4}", "", block, flags=re.M)


def headings(text: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    found: set[str] = set(re.findall(r'<a id="([^"]+)"', text))
    for title in re.findall(r"^#+ (.*)", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M), flags=re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).strip().lower()
        anchor = base = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 0
        while anchor in found:
            number += 1
            anchor = "%s-%d" % (base, number)
        found.add(anchor)
    return found
