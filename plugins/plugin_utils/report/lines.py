# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of a report on a terminal: plain text of at most 100 columns, with a kind that the caller may colour."""

from __future__ import annotations

import enum
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass

COLUMNS = 100


class Kind(str, enum.Enum):
    """What a line is."""

    PLAIN = "plain"
    HEADING = "heading"
    WARNING = "warning"
    REFUSAL = "refusal"
    FAILURE = "failure"


@dataclass(frozen=True)
class Line:
    """One line of a report."""

    kind: Kind
    text: str


def wrapped(text: str, kind: Kind = Kind.PLAIN, indent: str = "", hanging: str = "  ") -> list[Line]:
    """Return a text as lines of one kind. Words such as paths and addresses are never broken."""
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        lines += textwrap.wrap(
            paragraph,
            COLUMNS,
            initial_indent=indent if not lines else indent + hanging,
            subsequent_indent=indent + hanging,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return [Line(kind, line) for line in lines]


def grouped(items: Iterable[tuple[str, str]]) -> list[tuple[list[str], str]]:
    """Put equal texts together: [(host, text)] to [(hosts, text)], in the order in which the texts first come."""
    found: dict[str, list[str]] = {}
    for host, text in items:
        found.setdefault(text, []).append(host)
    return [(hosts, text) for text, hosts in found.items()]


def alike(items: Iterable[tuple[str, str]], key: Callable[[str, str], str]) -> list[tuple[list[str], str]]:
    """Put texts of one pattern together where more than three of them differ only in what key() removes.

    Such a group has the text of its first host, as an example. key: gets the host and the text.
    """
    patterns: dict[str, list[tuple[str, str]]] = {}
    for host, text in items:
        patterns.setdefault(key(host, text), []).append((host, text))
    result = []
    for rows in patterns.values():
        same = grouped(rows)
        if len(same) <= 3:
            result += same
        else:
            result.append(([host for host, _text in rows], "%s (the others alike)" % rows[0][1]))
    return result
