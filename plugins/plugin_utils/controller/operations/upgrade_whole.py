# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tasks of an upgrade get where API server and kubelet are one program, as with K3s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ....module_utils.node import paths
from ...base import versions
from ...k3s import artifacts
from ...operations import upgrade_checks
from ...plan import distributions, membership

# Programs are on the node already: these tasks take them from there.
PROGRAMS = {"role": "upgrade", "tasks": "k3s_programs"}


def beside(
    host: str, plan: Mapping[str, Any], info: Mapping[str, Any], inputs: Mapping[str, Any], made: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the programs of all releases that a node gets, in a folder of their release. made: the operation."""
    mine = plan["nodes"][host]
    passed = [
        item
        for row in made["rounds"]
        if row["host"] == host
        for item in _passed(plan, info, inputs, str(row["version"]))
    ]
    last = mine["programs"] if "programs" in mine["steps"] else []
    return [artifacts.beside(item, paths.VERSIONS) for item in [*passed, *last]]


def node(
    host: str,
    plan: Mapping[str, Any],
    info: Mapping[str, Any],
    inputs: Mapping[str, Any],
    made: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return what one node needs before anything changes, and what is done in its window.

    made: the operation. rows: the Nodes, as a control plane has them.
    """
    mine, target = plan["nodes"][host], upgrade_checks.target_of(plan)
    running = {str(row.get("kubelet_version") or "") for row in rows if row["name"] == mine["name"]}
    running |= {str(membership.live_of(info).get("version") or "")} if mine["role"] == "control_plane" else set()
    same = versions.release_order(target)
    old = any(version and versions.release_order(version) != same for version in running)
    apply = distributions.by_name(plan["distribution"]).actions(dict(mine), plan, inputs, info, list(plan["nodes"]))
    return {
        "programs": beside(host, plan, info, inputs, made),
        "images": [],
        "drain": host in made["drained"],
        "role": apply["role"],
        "restart": bool(apply["restart"] or old),
        "timeout": apply["timeout"],
        "version": "v" + target,
    }


def round_of(
    row: Mapping[str, Any], plan: Mapping[str, Any], info: Mapping[str, Any], inputs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a round with what its tasks need: a server passes a release."""
    mine = plan["nodes"][row["host"]]
    apply = distributions.by_name(plan["distribution"]).actions(dict(mine), plan, inputs, info, list(plan["nodes"]))
    return {
        **row,
        "programs": _passed(plan, info, inputs, row["version"]),
        "release": "v" + row["version"],
        "data_dir": mine["data_dir"],
        "timeout": apply["timeout"],
        "database": plan.get("database") or "",
    }


def _passed(
    plan: Mapping[str, Any], info: Mapping[str, Any], inputs: Mapping[str, Any], release: str
) -> list[dict[str, Any]]:
    """Return the programs of a release that a server passes: without the install script, which only the last needs."""
    items = artifacts.programs({"info": info, "inputs": inputs}, {"release": "v" + release, "shared": inputs})
    return [item for item in items if item["component"] != artifacts.SCRIPT_COMPONENT]
