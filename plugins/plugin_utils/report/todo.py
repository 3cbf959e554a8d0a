# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan will do, put together over nodes: one line for all nodes that are treated alike."""

from __future__ import annotations

from dataclasses import dataclass

from ..base import words
from ..base.model import Plan, PlanNode

ACTIONS = {
    "init": "initialise the cluster",
    "pull": "pull images, then join the cluster",
    "join": "join the cluster",
    "wait": "wait for the cluster to come up",
    "convert": "restart with embedded etcd",
}
# Steps of a new node that need no reasons: what is set up.
SET_UP = {
    "containerd": "containerd",
    "kubelet": "the kubelet",
    "k3s": "K3s",
    "network": "the pod network",
    "endpoint": "the API endpoint",
    "backup": "scheduled backups",
}
STEPS = {
    "settings": "set kernel modules and sysctls",
    "repository": "add the package repository",
    "script": "run K3s's install script",
    "credentials": "write credentials",
}
# What is done to a running service.
VERBS = {"restarted": "restart", "reloaded": "reload", "stopped": "stop"}
# MB, rounded, of an amd64 build of the releases that the plan chooses by default; kubeadm's component has three files.
SIZES = {"containerd": 33, "runc": 12, "cni": 31, "crictl": 12, "kubeadm": 75, "kubelet": 92, "kubectl": 62, "k3s": 75}


@dataclass(frozen=True)
class Task:
    """Something to do on some nodes."""

    hosts: tuple[str, ...]
    label: str
    text: str

    def __str__(self) -> str:
        return "%s: %s" % (self.label, self.text)


def state(node: PlanNode, refused: bool = False) -> str:
    """Return what becomes of a node, in one or two words."""
    if refused or "steps" not in node:
        return "not planned"
    if not node.get("joined"):
        return "new"
    if node.get("action") == "wait":
        return "starts"
    changes = node["steps"] or node.get("action") or node.get("object_changes")
    return "changes" if changes else "unchanged"


def is_idle(plan: Plan) -> bool:
    """Return True if the plan is complete and changes neither a node nor anything in the cluster or beside it."""
    refused = bool(plan["refusals"])
    unchanged = all(state(node) == "unchanged" for node in plan["nodes"].values())
    return not refused and unchanged and not beside_nodes(plan)


def beside_nodes(plan: Plan) -> list[Task]:
    """Return what will be done in the cluster and on the controller."""
    found = [Task((), "the cluster", text) for text in plan.get("cluster_changes") or []]
    kubeconfig = plan.get("kubeconfig")
    if kubeconfig and kubeconfig["state"] not in ("same", "kept"):
        found.append(Task((), "the controller", "kubeconfig %s: %s" % (kubeconfig["path"], kubeconfig["text"])))
    return found


def tasks(plan: Plan) -> list[Task]:
    """Return what will be done, in order; nothing where the plan was refused."""
    if plan["refusals"]:
        return []
    hosts = sorted(plan["nodes"], key=words.natural)
    concerned: dict[tuple[str, str], list[str]] = {}
    for host in hosts:
        for phrase in _phrases(plan["nodes"][host]):
            concerned.setdefault(phrase, []).append(host)
    merged: list[tuple[tuple[str, ...], list[tuple[str, str]]]] = []
    for phrase, where in concerned.items():
        row = next((row for row in merged if row[0] == tuple(where)), None) if phrase[0] != "act" else None
        if row:
            row[1].append(phrase)
        else:
            merged.append((tuple(where), [phrase]))
    merged.sort(key=lambda row: row[1][0][0] == "act")
    return [Task(where, _label(plan, where), _text(phrases)) for where, phrases in merged] + beside_nodes(plan)


def megabytes(node: PlanNode) -> int:
    """Return about how many MB of programs a node downloads, 0 where that is unknown."""
    return sum(SIZES.get(name, 0) for name in _missing_programs(node))


def download(plan: Plan) -> str:
    """Return about how much is downloaded in all, in words; empty where nothing is, or where it is unknown."""
    sizes = [megabytes(node) for node in plan["nodes"].values() if "steps" in node and megabytes(node)]
    if not sizes or plan["refusals"]:
        return ""
    each = "%d MB" % sizes[0] if len(set(sizes)) == 1 else "up to %d MB" % max(sizes)
    total = _size(sum(sizes)) if len(sizes) > 1 else ""
    return "about %s of programs on %s" % (each, words.count(len(sizes), "node")) + (
        ", %s in all" % total if total else ""
    )


def _size(megabytes_: int) -> str:
    return "%d MB" % megabytes_ if megabytes_ < 1000 else "%.1f GB" % (megabytes_ / 1000)


def _label(plan: Plan, hosts: tuple[str, ...]) -> str:
    if len(hosts) < 3:
        return words.names(hosts)
    new = all(state(plan["nodes"][host]) == "new" for host in hosts)
    return "%s (%s)" % (words.count(len(hosts), "new node" if new else "node"), words.names(hosts))


def _phrases(node: PlanNode) -> list[tuple[str, str]]:
    """Return what is done on a node as (kind, words): "do" a sentence, "up" a part, "act" the distribution's action."""
    new, found = not node.get("joined"), []
    for step, reasons in node.get("steps", {}).items():
        if step == "packages":
            packages = node.get("packages") or reasons
            found.append(("do", "install package%s %s" % ("s" if len(packages) > 1 else "", ", ".join(packages))))
        elif step == "programs":
            found.append(("do", _programs(node, reasons)))
        elif new and step in SET_UP:
            found.append(("up", SET_UP[step]))
        elif new and step == "settings":
            found.append(("do", STEPS[step]))
            found += [("do", reason) for reason in reasons if "swap" in reason or "/cmdline" in reason]
        elif new and step in STEPS:
            found.append(("do", STEPS[step]))
        else:
            found.append(("do", "%s (%s)" % (step, "; ".join(_without_repeats(reasons)))))
    found += [("do", text) for text in node.get("object_changes") or []]
    if not new:
        found += [
            ("do", "%s %s" % (VERBS[how], name)) for name, how in node.get("services", {}).items() if how in VERBS
        ]
    action = node.get("action")
    return [*found, ("act", ACTIONS[action])] if action else found


def _without_repeats(reasons: list[str]) -> list[str]:
    """Return reasons without those of a service that is restarted because of a file that is already named."""
    kept = [reason for reason in reasons if not reason.endswith(" changes")]
    return kept or reasons


def _text(phrases: list[tuple[str, str]]) -> str:
    up = [words for kind, words in phrases if kind == "up"]
    parts = [words for kind, words in phrases if kind != "up"]
    return "; ".join([*parts, *(["set up " + words.both(up)] if up else [])])


def _programs(node: PlanNode, reasons: list[str]) -> str:
    """Return which programs are installed, and about how large they are."""
    size = megabytes(node)
    items = [reason.removesuffix(" is not installed") for reason in reasons]
    return "%s%s" % ("install about %d MB of programs: " % size if size else "install ", ", ".join(items))


def _missing_programs(node: PlanNode) -> list[str]:
    """Return the names of the programs that are installed, without paths."""
    return [reason.partition(" ")[0] for reason in node.get("steps", {}).get("programs", [])]
