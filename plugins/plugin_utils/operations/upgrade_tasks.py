# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upgrade will do, as lines of text, and about how long it takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .upgrade_path import State

# Measured on container nodes with two shared CPUs; machines of their own are faster.
BACKUP_SECONDS, PULL_SECONDS, ROUND_SECONDS, ETCD_SECONDS, WINDOW_SECONDS = 20, 30, 60, 30, 45


def seconds(plan: Mapping[str, Any], operation: Mapping[str, Any]) -> int:
    """Return about how long the upgrade takes, without the eviction of pods."""
    rounds, count = operation["rounds"], batches(plan, len(operation["workers"]))
    total = BACKUP_SECONDS if operation["backup"] else 0
    total += (PULL_SECONDS * max(len(operation["hops"]), 1)) if rounds else 0
    total += sum(ROUND_SECONDS + (ETCD_SECONDS if each["etcd"] else 0) for each in rounds)
    return total + WINDOW_SECONDS * (len(operation["windows"]) + count)


def batches(plan: Mapping[str, Any], workers: int) -> int:
    """Return in how many batches so many workers are upgraded."""
    at_once = str(plan.get("workers_at_once") or 1)
    batch = max(int(at_once), 1) if at_once.isdigit() else max(workers * int(at_once.rstrip("%") or 1) // 100, 1)
    return math.ceil(workers / batch)


def lines(plan: Mapping[str, Any], state: State, operation: Mapping[str, Any]) -> list[str]:
    """Return what is done, in order."""
    if not (operation["rounds"] or operation["windows"] or operation["workers"] or operation["upload"]):
        return ["Every node has Kubernetes %s: nothing to do." % plan["version"]]
    way = " → ".join([state.oldest, *operation["hops"]])
    rows = ["Kubernetes %s, about %d minutes" % (way, math.ceil(operation["seconds"] / 60))]
    backup = operation["backup"]
    rows += ["first: " + row for row in (backup or {}).get("tasks") or []]
    if operation["rounds"]:
        rows.append("control planes: programs and images of all versions, before anything changes")
    rows += _rounds(operation["rounds"], operation["etcd"])
    hosts = [row["host"] for row in operation["windows"]]
    if hosts:
        rows.append("%s: %s, one after the other" % (", ".join(hosts), _window(hosts, plan, operation)))
    if operation["workers"]:
        count = plan.get("workers_at_once") or "1"
        words = (", ".join(operation["workers"]), _window(operation["workers"], plan, operation), count)
        rows.append("%s: %s, %s at a time" % words)
    return rows


def _window(hosts: Sequence[str], plan: Mapping[str, Any], operation: Mapping[str, Any]) -> str:
    found = ["evict pods"] if any(host in operation["drained"] for host in hosts) else []
    changes = any(host in operation["kubelets"] for host in hosts)
    found += ["kubelet %s" % plan["version"]] if changes else []
    replaced = {(name, *row) for host in hosts for name, row in operation["components"].get(host, {}).items()}
    found += ["%s %s → %s" % row for row in sorted(replaced)]
    return ", ".join(found + (["programs and files"] if changes or not replaced else []))


def _rounds(rounds: Sequence[Mapping[str, Any]], etcd: Mapping[str, Any]) -> list[str]:
    """Return a line for each version that control planes get."""
    groups: dict[tuple[str, str], list[str]] = {}
    for each in rounds:
        tag = ""
        if each["etcd"]:
            alone = not each["addons"] and each["kind"] == "node" and each["version"] == rounds[-1]["version"]
            tag = etcd["last"] if alone and etcd["last"] != etcd["carried"] else etcd["carried"]
            key = ("etcd " + tag, "") if alone else ("Kubernetes " + each["version"], ", etcd " + tag)
        else:
            key = ("Kubernetes " + each["version"], "")
        groups.setdefault(key, []).append(each["host"])
    return [
        "%s: %s%s, one after the other, behind the API endpoint" % (", ".join(hosts), what, more)
        for (what, more), hosts in groups.items()
    ]
