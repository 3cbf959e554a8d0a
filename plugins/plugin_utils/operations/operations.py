# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations on a running cluster. Each is a file here with a function plan()."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..base.findings import as_dicts
from . import backup, remove, restore, rotate, upgrade

Planner = Callable[[Mapping[str, Any], Mapping[str, Mapping[str, Any]], Mapping[str, Any]], dict[str, Any]]
OPERATIONS: dict[str, Planner] = {
    "backup": backup.plan,
    "remove": remove.operation,
    "replace": remove.operation,
    "restore": restore.plan,
    "rotate": rotate.plan,
    "upgrade": upgrade.plan,
}


def plan(
    name: str, cluster: Mapping[str, Any], infos: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the plan of an operation: its name, `tasks` in words, `refusals`, `warnings`, and its own keys.

    cluster: the cluster's plan. infos: facts by host, without hosts that were not looked at. options: of the playbook.
    """
    made = OPERATIONS[name](cluster, infos, options)
    return {**made, "name": name, "refusals": as_dicts(made["refusals"]), "warnings": as_dicts(made["warnings"])}
