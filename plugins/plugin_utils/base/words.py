# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and numbers as messages and reports write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

NAMED = 6  # so many hosts or runs of hosts are named; of more only the number is given
RUN = 4  # so many hosts in a row are written as the first and the last


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """Return a key that sorts names as people do: w-2 before w-10."""
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", name))


def count(number: int, word: str) -> str:
    """Return "1 node", "2 nodes"."""
    return "%d %s%s" % (number, word, "" if number == 1 else "s")


def both(words: Sequence[str]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


def names(hosts: Iterable[str]) -> str:
    """Return hosts in natural order; runs as "w-1 to w-60", long lists cut with the number of the others."""
    pieces: list[list[str]] = []
    for host in sorted(set(hosts), key=natural):
        if pieces and _follows(pieces[-1][-1], host):
            pieces[-1].append(host)
        else:
            pieces.append([host])
    shown: list[tuple[str, int]] = []
    for piece in pieces:
        if len(piece) >= RUN:
            shown.append(("%s to %s" % (piece[0], piece[-1]), len(piece)))
        else:
            shown += [(host, 1) for host in piece]
    if len(shown) <= NAMED + 1:
        return ", ".join(text for text, _number in shown)
    left = sum(number for _text, number in shown[NAMED:])
    return "%s and %d more" % (", ".join(text for text, _number in shown[:NAMED]), left)


def together(hosts: Iterable[str]) -> str:
    """Return names() as the subject of a sentence: "a and b", "a, b and c"."""
    text = names(hosts)
    return text if " and " in text else " and ".join(text.rsplit(", ", 1))


def _follows(former: str, host: str) -> bool:
    """Return True if two names are equal but for their last number, which is one higher."""
    last = re.compile(r"^(.*?)([0-9]+)([^0-9]*)$", re.DOTALL)
    first, second = last.match(former), last.match(host)
    return bool(
        first
        and second
        and first[1] == second[1]
        and first[3] == second[3]
        and len(first[2]) <= len(second[2])
        and int(first[2]) + 1 == int(second[2])
    )
