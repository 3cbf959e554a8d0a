# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The projects whose inventories are understood. To add one, add its file and its entry here."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from ..groups import CUTOFF, Groups
from . import from_k3s_ansible, from_kubespray, from_pyratlabs, from_techno_tim
from .dialect import Dialect

# In the order in which they are tried: names that two have belong to the first.
ALL = (from_pyratlabs.DIALECT, from_techno_tim.DIALECT, from_k3s_ansible.DIALECT, from_kubespray.DIALECT)
# Kubespray's groups of today are this collection's too; with one of these names they are its inventory.
_WITH_GROUPS = {"ip": "kube_control_plane"}


def recognise(names: Iterable[str], groups: Groups) -> Dialect | None:
    """Return the project that a host's variables belong to, None if they are this collection's or nobody's.

    names: of the host's variables. groups: of the inventory.
    """
    known = list(names)
    # One name of another project may be left over: the one with most of the names counts.
    scores = [(sum(name in dialect.rows for name in known), dialect) for dialect in ALL if dialect.marks(known)]
    if scores:
        return max(scores, key=lambda row: row[0])[1]
    by_groups = next((dialect for dialect in ALL if dialect.groups & set(groups)), None)
    if by_groups:
        return by_groups
    kubespray = from_kubespray.DIALECT
    if "kube_control_plane" in groups and ("etcd" in groups or any(name in known for name in _WITH_GROUPS)):
        return kubespray
    if (groups.get("server") or groups.get("master")) and "k3s_cluster" in groups:
        return from_k3s_ansible.DIALECT
    return None


def names() -> frozenset[str]:
    """Return every exact name of every table."""
    return frozenset(name for dialect in ALL for name in dialect.rows if "*" not in name)


def knows(name: str) -> bool:
    """Return True if a table of another project has a name."""
    return any(dialect.row(name) for dialect in ALL)


def inputs_of(name: str) -> list[str]:
    """Return the inputs that a name is in the tables, without the keys in them."""
    rows = [dialect.rows[name] for dialect in ALL if name in dialect.rows]
    return [row.to.partition(".")[0] for row in rows if row.to]


def near(name: str, inputs: Mapping[str, object], dialect: Dialect | None) -> str:
    """Return what a misspelt name probably means: an input, or an exact name of the dialect; empty if nothing."""
    known: Sequence[str] = list(inputs)
    found = difflib.get_close_matches(name, known, n=1, cutoff=CUTOFF)
    if found:
        return found[0]
    tables = [dialect] if dialect else ALL
    theirs = {row: table.rows[row] for table in tables for row in table.rows if "*" not in row}
    found = difflib.get_close_matches(name, list(theirs), n=1, cutoff=CUTOFF)
    if not found:
        return ""
    return found[0] if dialect else theirs[found[0]].to.partition(".")[0]
