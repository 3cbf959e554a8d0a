# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an inventory of another project is here, as the first block of a report on a plan."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..base import words
from ..base.model import Plan

# By kind: the title, and whether the text of each name is shown.
TITLES = {
    "understood": ("Understood", False),
    "translated": ("Translated", True),
    "decide": ("Needs a decision, refused below", False),
    "not_taken": ("Not taken over", True),
    "no_effect": ("Without effect here", False),
    "unknown": ("Unknown, and not read", False),
}

FAMILY = 4  # so many names of one prefix are shown as a family
LONG_PREFIXES = ("kube", "local", "cert", "ingress", "metrics", "node", "enable")  # these share two words


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
            rows = [", ".join(_families(_names(entry for entry in entries if entry["name"] not in shown)))]
        elif kind == "not_taken":
            rows = _reasons(entries)
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


def _families(names: Iterable[str]) -> list[str]:
    """Return names, with a family of FAMILY or more as its prefix and their number; plan.json has each of them."""
    by_prefix: dict[str, list[str]] = {}
    for name in names:
        words = name.split("_")
        prefix = "_".join(words[: 2 if words[0] in LONG_PREFIXES else 1])
        by_prefix.setdefault(prefix if len(words) > 1 else name, []).append(name)
    rows = []
    for prefix, same in by_prefix.items():
        rows += ["%s_* (%d)" % (prefix, len(same))] if len(same) >= FAMILY else same
    return sorted(rows)


def _reasons(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return "names → text", once for all names with the same text and hosts."""
    by_text: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        by_text.setdefault((entry["text"], words.names(entry["hosts"])), []).append(entry["name"])
    return [
        "%s → %s%s" % (", ".join(sorted(names)), text, " (%s)" % hosts if hosts else "")
        for (text, hosts), names in by_text.items()
    ]


def _texts(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return "name → text" of each entry; hosts that differ in it only by their value are put together."""
    alike: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for entry in entries:
        alike.setdefault((entry["name"], entry["text"].partition(":")[0]), []).append(entry)
    rows = []
    for (name, path), same in alike.items():
        if len(same) > 2 and all(entry["hosts"] for entry in same):
            hosts = {host for entry in same for host in entry["hosts"]}
            rows.append("%s → %s, a value for each of %s" % (name, path, words.names(hosts)))
            continue
        for entry in same:
            where = " (%s)" % words.names(entry["hosts"]) if entry["hosts"] else ""
            rows.append("%s → %s%s" % (name, entry["text"], where))
    return rows
