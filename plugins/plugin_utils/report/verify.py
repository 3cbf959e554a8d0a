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


def scope(plan: dict, looks: dict, check_mode: bool = False) -> dict:
    """What is to be proved: {leader, nodes, control_planes, servers}; also from a plan that has refusals.

    plan: the plan. looks: node_info's "node" by inventory name, of the hosts that answered.
    leader: the inventory name of the control plane to ask. nodes, control_planes: names in the cluster. servers: addresses with port.
    In check mode nodes that are still to join are left out.
    """
    hosts = plan["nodes"]
    if check_mode:
        hosts = {host: node for host, node in hosts.items() if node.get("joined", _has_kubelet(looks.get(host)))}
    candidates = [host for host in plan["control_planes"] if host in looks] or plan["control_planes"]
    leader = plan.get("leader") or max(candidates, key=lambda host: _life(looks.get(host)), default=None)
    return {
        "leader": leader,
        "nodes": sorted(node["name"] for node in hosts.values()),
        "control_planes": sorted(node["name"] for node in hosts.values() if node["role"] == "control_plane"),
        "servers": ["%s:%d" % (member["address"], plan["api_port"]) for member in plan.get("members") or []],
    }


def _has_kubelet(look):
    return bool(((look or {}).get("cluster") or {}).get("kubelet_conf"))


def _life(look):
    """How good a control plane is to ask: 2 with an API that answers, 1 with an administrator's kubeconfig."""
    cluster = (look or {}).get("cluster") or {}
    return 2 if (cluster.get("live") or {}).get("healthy") else int(bool(cluster.get("admin_conf")))


def doubts(plan: dict) -> list:
    """Warnings for what the plan refuses: the cluster is proved all the same."""
    return [
        {"name": "plan", "status": "warn", "text": text, "node": None, "hint": "site would refuse it", "ms": None}
        for text in (refusal["text"] for refusal in plan.get("refusals") or [])
    ]


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
    text = item["text"].rstrip(". ") if item.get("hint") else item["text"]
    return "%s%s: %s%s" % (where, item["name"], text, ". To do: " + item["hint"] if item.get("hint") else "")


def _table(checks):
    """One line for each kind of check of the nodes: where it is how."""
    worst = {}
    for item in checks:
        if item["node"]:
            nodes = worst.setdefault(item["name"], {})
            nodes[item["node"]] = min(nodes.get(item["node"], "ok"), item["status"], key=ORDER.get)
    kinds = {name: name.partition(",")[0] for name in worst}  # of "pod to pod, IPv6" the words before
    names = sorted(worst, key=lambda name: (KINDS.index(kinds[name]) if kinds[name] in KINDS else len(KINDS), name))
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
