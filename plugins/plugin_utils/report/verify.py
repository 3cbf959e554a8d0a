# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of all nodes put together: lines for people, data for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from ..base.model import Plan, PlanNode
from ..base.words import count, names
from . import summary
from .lines import Kind, Line, alike, wrapped

ORDER = {"fail": 0, "warn": 1, "ok": 2}
# The order of the lines: from the ground up.
KINDS = (
    "node",
    "services",
    "kubelet",
    "certificates",
    "kubelet certificate",
    "registry",
    "API server",
    "API endpoint",
    "pod",
    "pod to pod",
    "DNS by name",
    "Service",
)


class Check(TypedDict):
    """One check.

    status: ok, warn or fail. node: its name in the cluster, None for the cluster as a whole. hint: the way out. ms: how
    long it took.
    """

    name: str
    status: str
    text: str
    node: str | None
    hint: str
    ms: float | None


class Document(TypedDict):
    """All checks of a run, as verify_json has them."""

    schema: int
    cluster: str | None
    version: str | None
    healthy: bool
    count: dict[str, int]
    seconds: float | None
    checks: list[Check]


class Scope(TypedDict):
    """What is verified.

    leader: inventory name of the control plane that is asked. nodes, control_planes: names in the cluster. servers:
    addresses with port.
    """

    leader: str | None
    nodes: list[str]
    control_planes: list[str]
    servers: list[str]


def scope(plan: Plan, looks: Mapping[str, Any], check_mode: bool = False) -> Scope:
    """Return what is verified; also from a plan that has refusals.

    looks: node_info's "node" by inventory name, of the hosts that answered. In check mode nodes that have not joined
    yet are left out.
    """
    hosts = plan["nodes"]
    if check_mode:
        hosts = {host: node for host, node in hosts.items() if node.get("joined", _has_kubelet(looks.get(host)))}
    candidates = [host for host in plan["control_planes"] if host in looks] or plan["control_planes"]
    best = max(candidates, key=lambda host: _usefulness(looks.get(host)), default=None)
    return {
        "leader": plan.get("leader") or best,
        "nodes": _names(hosts),
        "control_planes": _names({host: node for host, node in hosts.items() if node["role"] == "control_plane"}),
        "servers": ["%s:%d" % (member["address"], plan["api_port"]) for member in plan.get("members") or []],
    }


def _names(nodes: Mapping[str, PlanNode]) -> list[str]:
    return sorted(node["name"] for node in nodes.values())


def _has_kubelet(look: Mapping[str, Any] | None) -> bool:
    return bool(((look or {}).get("cluster") or {}).get("kubelet_conf"))


def _usefulness(look: Mapping[str, Any] | None) -> int:
    """Return how good a control plane is to ask: 2 with an API that answers, 1 with an administrator's kubeconfig."""
    cluster = (look or {}).get("cluster") or {}
    return 2 if (cluster.get("live") or {}).get("healthy") else int(bool(cluster.get("admin_conf")))


def doubts(plan: Mapping[str, Any]) -> list[Check]:
    """Return warnings for what the plan refuses: the cluster is verified all the same."""
    return [
        _check("plan", "warn", text, None, "site refuses to run until this is corrected")
        for text in summary.sentences(plan.get("refusals") or [])
    ]


def document(plan: Mapping[str, Any], checks: list[Check], seconds: float | None = None) -> Document:
    """Return what is written as JSON. healthy: nothing failed."""
    number = {status: sum(item["status"] == status for item in checks) for status in ORDER}
    return {
        "schema": 1,
        "cluster": plan.get("name"),
        "version": plan.get("version"),
        "healthy": not number["fail"],
        "count": number,
        "seconds": seconds,
        "checks": sorted(checks, key=lambda item: (ORDER[item["status"]], item["name"], item["node"] or "")),
    }


def unheard(hosts: Mapping[str, Mapping[str, Any]]) -> list[Check]:
    """Return failed checks for nodes whose probe gave no answer.

    hosts: by inventory name {name, probed (the task's result or None)}.
    """
    found = []
    for host, node in sorted(hosts.items()):
        probed = node["probed"] or {}
        if "checks" not in probed:
            text = "gave no answer: %s" % str(probed.get("msg") or "it cannot be reached").strip()
            found.append(failed("probe", text, node["name"], "make sure that `ansible -m ping %s` works" % host))
    return found


def failed(name: str, text: str, node: str | None, hint: str) -> Check:
    """Return a failed check. hint: the way out."""
    return _check(name, "fail", text, node, hint)


def _check(name: str, status: str, text: str, node: str | None, hint: str) -> Check:
    return {"name": name, "status": status, "text": text, "node": node, "hint": hint, "ms": None}


def text(document_: Document) -> list[str]:
    """Return the report as lines of plain text."""
    return [line.text for line in lines(document_)]


def lines(document_: Document, brief: bool = False) -> list[Line]:
    """Return the report: the verdict, what was checked, then warnings and failures with their way out.

    brief: of what passed only the number.
    """
    checks, number = document_["checks"], document_["count"]
    healthy = document_["healthy"]
    verdict = "%s is %s: %s, %d failed, %s" % (
        document_["cluster"] or "The cluster",
        "healthy" if healthy else "NOT healthy",
        count(sum(number.values()), "check"),
        number["fail"],
        count(number["warn"], "warning"),
    )
    result = wrapped(verdict, Kind.HEADING if healthy else Kind.FAILURE)
    if not brief:
        result += _passed(checks)
    for status, word, kind in (("warn", "warning", Kind.WARNING), ("fail", "failed", Kind.FAILURE)):
        for sentence in _sentences(item for item in checks if item["status"] == status):
            result += wrapped("%s: %s" % (word, sentence), kind)
    return result


def _passed(checks: Sequence[Check]) -> list[Line]:
    result = []
    for row in _nodes(checks):
        result += wrapped(row, indent="  ")
    whole = [
        "%s: %s" % (item["name"], item["text"].rstrip(". "))
        for item in checks
        if item["status"] == "ok" and not item["node"]
    ]
    if whole:
        result += wrapped("cluster: %s" % "; ".join(whole), indent="  ")
    return result


def _sentences(checks: Iterable[Check]) -> list[str]:
    """Return checks as sentences with their way out; those that say the same of several nodes share one."""
    by_name: dict[str, list[tuple[str, str]]] = {}
    for item in checks:
        text_ = item["text"].strip()
        if item.get("hint"):
            text_ = "%s. Fix: %s" % (text_.rstrip(". "), item["hint"])
        by_name.setdefault(item["name"], []).append((item["node"] or "", text_))
    found = []
    for name, rows in by_name.items():
        for hosts, text_ in alike(rows, lambda _host, text: "".join(letter for letter in text if not letter.isdigit())):
            where = names(host for host in hosts if host)
            found.append("%s%s: %s" % (where + ", " if where else "", name, text_))
    return found


def _nodes(checks: Iterable[Check]) -> list[str]:
    """Return what was checked on the nodes: one line for all that is well, one for each kind of check that is not."""
    worst: dict[str, dict[str, str]] = {}
    for item in checks:
        if item["node"]:
            found = worst.setdefault(item["name"], {})
            found[item["node"]] = min(found.get(item["node"], "ok"), item["status"], key=lambda status: ORDER[status])
    well: dict[str, list[str]] = {}
    rows = []
    for name in sorted(worst, key=_rank):
        if set(worst[name].values()) == {"ok"}:
            well.setdefault("ok on %s" % _where(worst[name]), []).append(name)
        else:
            rows.append("%s: %s" % (name, _places(worst[name])))
    return ["%s: %s" % (where, ", ".join(kinds)) for where, kinds in well.items()] + rows


def _rank(name: str) -> tuple[int, str]:
    """Return where a kind of check is in the report: of "pod to pod, IPv6" the words before the comma count."""
    kind = name.partition(",")[0]
    return (KINDS.index(kind) if kind in KINDS else len(KINDS), name)


def _where(nodes: Iterable[str]) -> str:
    found = list(nodes)
    return names(found) if len(found) <= 4 else count(len(found), "node")


def _places(nodes: Mapping[str, str]) -> str:
    """Return "FAIL on w1; ok on 3 nodes"."""
    parts = []
    for status, word in (("fail", "FAIL"), ("warn", "warning"), ("ok", "ok")):
        there = [node for node in nodes if nodes[node] == status]
        if there:
            parts.append("%s on %s" % (word, _where(there)))
    return "; ".join(parts)
