# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an inventory of another project is here, as the first block of a report on a plan."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..base.model import Plan
from . import lines

# By kind: the title, and whether the text of each name is shown.
TITLES = {
    "understood": ("Understood", False),
    "translated": ("Translated", True),
    "decide": ("Needs a decision, refused below", False),
    "not_taken": ("Not taken over", True),
    "no_effect": ("Without effect here", False),
    "unknown": ("Unknown, and not read", False),
}


def block(plan: Plan) -> list[tuple[str, list[str]]]:
    """Return (title, rows) of each kind that the inventory has; nothing for an inventory of this collection."""
    found = plan.get("inventory")
    if not found:
        return []
    result = []
    for kind, (title, with_text) in TITLES.items():
        entries = found[kind]
        if kind == "understood":
            rows = [", ".join(["groups " + ", ".join(found["groups"])] if found["groups"] else [])]
            rows = [", ".join(filter(None, [*rows, *_names(entries)]))]
        elif kind == "no_effect":
            # A name with several parts, such as a command line, has an entry for each.
            other = [entry["name"] for key in ("translated", "decide", "not_taken") for entry in found[key]]
            shown = {*other, *(re.split("[ :]", name)[0] for name in other)}
            rows = [", ".join(_names(entry for entry in entries if entry["name"] not in shown))]
        elif with_text:
            rows = _texts(entries)
        else:
            rows = [", ".join(_names(entries))]
        rows = [row for row in rows if row]
        if rows:
            result.append((title, rows))
    return result


def headline(plan: Plan) -> str:
    """Return the title of the block; empty for an inventory of this collection."""
    found = plan.get("inventory")
    return "An inventory of %s (%s)" % (found["project"], found["page"]) if found else ""


def brief(plan: Plan) -> str:
    """Return the block in one sentence, for a run that applies the plan."""
    found = plan.get("inventory")
    if not found:
        return ""
    words = {"translated": "translated", "not_taken": "not taken over", "unknown": "unknown"}
    counts = ["%s %s" % (len(names), text) for key, text in words.items() if (names := _names(found[key]))]
    return "An inventory of %s: %s. `plan` shows them." % (found["project"], ", ".join(counts or ["groups only"]))


def _names(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted({str(entry["name"]) for entry in entries})


def _texts(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return "name → text" of each entry; hosts that differ in it only by their value are put together."""
    alike: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for entry in entries:
        alike.setdefault((entry["name"], entry["text"].partition(":")[0]), []).append(entry)
    rows = []
    for (name, path), same in alike.items():
        if len(same) > 2 and all(entry["hosts"] for entry in same):
            hosts = {host for entry in same for host in entry["hosts"]}
            rows.append("%s → %s, a value for each of %s" % (name, path, lines.names(hosts)))
            continue
        for entry in same:
            where = " (%s)" % lines.names(entry["hosts"]) if entry["hosts"] else ""
            rows.append("%s → %s%s" % (name, entry["text"], where))
    return rows
