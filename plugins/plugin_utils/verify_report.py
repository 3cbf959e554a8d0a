# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of all nodes put together: a table and sentences for people, data for programs."""

from __future__ import annotations

ORDER = {"fail": 0, "warn": 1, "ok": 2}
# The order of the lines: from the ground up.
KINDS = (
    "node",
    "services",
    "kubelet",
    "certificates",
    "registry",
    "API server",
    "API endpoint",
    "pod",
    "pod to pod",
    "DNS by name",
    "Service",
)
NAMED = 4  # so many nodes are named in a line, of more it is said how many


def document(plan: dict, checks: list, seconds: float | None = None) -> dict:
    """What is written as JSON. healthy: nothing failed."""
    count = {status: sum(item["status"] == status for item in checks) for status in ORDER}
    return {
        "schema": 1,
        "cluster": plan.get("name"),
        "version": plan.get("version"),
        "healthy": not count["fail"],
        "count": count,
        "seconds": seconds,
        "checks": sorted(checks, key=lambda item: (ORDER[item["status"]], item["name"], item["node"] or "")),
    }


def unheard(hosts: dict) -> list:
    """Failed checks for nodes whose probe gave no answer. hosts: by inventory name {name, probed (the task's result or None)}."""
    return [
        {
            "name": "probe",
            "status": "fail",
            "text": "gave no answer: %s" % str((node["probed"] or {}).get("msg") or "it cannot be reached").strip(),
            "node": node["name"],
            "hint": "can Ansible reach %s? (`ansible -m ping %s`)" % (host, host),
            "ms": None,
        }
        for host, node in sorted(hosts.items())
        if "checks" not in (node["probed"] or {})
    ]


def text(document_: dict) -> list:
    """Lines: the verdict, a table of nodes and checks, the cluster as a whole, warnings and failures."""
    checks, count = document_["checks"], document_["count"]
    verdict = "healthy" if document_["healthy"] else "NOT healthy"
    lines = [
        "%s is %s: %d checks, %d failed, %d warnings"
        % (document_["cluster"] or "the cluster", verdict, sum(count.values()), count["fail"], count["warn"])
    ]
    lines += _table(checks)
    lines += ["%s: %s" % (item["name"], item["text"]) for item in checks if item["status"] == "ok" and not item["node"]]
    lines += ["warning: " + sentence(item) for item in checks if item["status"] == "warn"]
    lines += ["failed: " + sentence(item) for item in checks if item["status"] == "fail"]
    return lines


def sentence(item: dict) -> str:
    """One check as a sentence with its way out."""
    where = "%s, " % item["node"] if item["node"] else ""
    return "%s%s: %s%s" % (where, item["name"], item["text"], ". To do: " + item["hint"] if item.get("hint") else "")


def failures(checks: list) -> str:
    """One message with every failed check; empty when there is none."""
    failed = [sentence(item) for item in checks if item["status"] == "fail"]
    if not failed:
        return ""
    return "%d %s failed:\n" % (len(failed), "check" if len(failed) == 1 else "checks") + "\n".join(
        "  - " + line for line in failed
    )


def _table(checks):
    """One line for each kind of check of the nodes: where it is how."""
    worst = {}
    for item in checks:
        if item["node"]:
            nodes = worst.setdefault(item["name"], {})
            nodes[item["node"]] = min(nodes.get(item["node"], "ok"), item["status"], key=ORDER.get)
    names = [name for name in KINDS if name in worst] + sorted(set(worst) - set(KINDS))
    width = max([len(name) for name in names] or [0])
    return ["%s  %s" % (name.ljust(width), _places(worst[name])) for name in names]


def _places(nodes):
    """FAIL on w1; ok on 3 nodes."""
    parts = []
    for status, word in (("fail", "FAIL"), ("warn", "warning"), ("ok", "ok")):
        there = sorted(node for node in nodes if nodes[node] == status)
        if there:
            parts.append("%s on %s" % (word, ", ".join(there) if len(there) <= NAMED else "%d nodes" % len(there)))
    return "; ".join(parts)
