# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan says, as short texts that the terminal and the page share."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..base import quantity, words
from ..base.distribution import Distribution
from ..base.model import Plan, PlanNode
from ..plan import distributions
from . import lines, todo

DOCS = "https://github.com/kubewright/cluster/blob/main/"
_HOST = "\0"
# An IPv6 address, or a number with its dots, such as an IPv4 address.
_NUMBER = re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])|[0-9]+(?:\.[0-9]+)*")


@dataclass(frozen=True)
class Reason:
    """Why something was chosen.

    title: what was chosen. link, page: the source's address and its name, empty where there is none.
    """

    title: str
    text: str
    link: str
    page: str


@dataclass(frozen=True)
class Found:
    """A refusal or a warning, once for all hosts that it concerns.

    hosts: in words; empty where it concerns the cluster.
    """

    hosts: str
    text: str

    def __str__(self) -> str:
        return "%s: %s" % (self.hosts, self.text) if self.hosts else self.text


def distribution(plan: Plan) -> Distribution | None:
    """Return the plan's distribution, None where it could not be decided."""
    name = plan.get("distribution")
    return distributions.by_name(name) if name else None


def headline(plan: Plan) -> str:
    """Return the plan in one line."""
    numbers = [len(found(plan[key], plan["nodes"])) for key in ("refusals", "warnings")]  # as they are printed
    counts = "%s, %s" % (words.count(numbers[0], "problem"), words.count(numbers[1], "warning"))
    problems = counts if plan["refusals"] or plan["warnings"] else ""
    chosen, name = distribution(plan), plan.get("name")
    what = "Cluster %s" % name if name else "The cluster"
    if not plan.get("control_planes") and plan.get("version"):
        what = "Nodes for the cluster at %s" % plan["endpoint"]["host_port"]
    elif plan.get("version") and not plan["exists"] and not plan.get("operation"):
        what = "New cluster %s" % name
    release = " ".join(filter(None, [chosen.title if chosen else "", plan.get("version")]))
    parts = [" on ".join(filter(None, [release, nodes(plan)])), _change(plan), problems]
    text = "%s: %s" % (what, "; ".join(filter(None, parts)))
    return text + (". Nothing is changed." if plan["refusals"] else ".")


def nodes(plan: Plan) -> str:
    """Return "4 nodes (3 control planes, 1 worker)"."""
    planes, workers = len(plan["control_planes"]), len(plan["workers"])
    known = len(plan["nodes"])
    if not planes and not workers:
        return words.count(known, "node")
    parts = [(planes, "control plane"), (workers, "worker")]
    detail = ", ".join(words.count(number, word) for number, word in parts if number)
    return "%s (%s)" % (words.count(planes + workers, "node"), detail)


def _change(plan: Plan) -> str:
    """Return how many nodes of an existing cluster are new or change."""
    if plan["refusals"] or not (plan.get("exists") or plan.get("operation")):
        return ""
    if plan.get("operation"):
        operation = plan["operation"]
        idle = operation.get("idle")
        if idle is None:
            idle = not any(node["known"] or node["alive"] for node in operation.get("nodes") or [{"known": True}])
        return "nothing to do" if idle else str(operation["name"])
    states = [todo.state(node) for node in plan["nodes"].values()]
    if todo.is_idle(plan):
        return "nothing to do"
    words = {"new": "new", "starts": "to start", "changes": "to change", "unchanged": "unchanged"}
    found = ["%d %s" % (states.count(key), word) for key, word in words.items() if key in states]
    return ", ".join(found + (["objects in the cluster to change"] if plan.get("cluster_changes") else []))


def facts(plan: Plan) -> list[tuple[str, str]]:
    """Return what the cluster is, as (label, value); nothing where the plan got no further than its inputs."""
    chosen = distribution(plan)
    if not plan.get("version") or not chosen:
        return [("distribution", chosen.title)] if chosen else []
    rows = [
        ("distribution", "%s %s" % (chosen.title, plan.get("release") or plan["version"])),
        ("nodes", nodes(plan)),
        ("datastore", plan.get("database") or plan.get("datastore") or ""),
        ("API endpoint", "%s (%s)" % (plan["endpoint"]["host_port"], endpoint(plan))),
        ("network", "%s, kube-proxy %s" % (plan["plugin"], plan["proxy_mode"])),
        ("pods", ", ".join(plan["pod_cidrs"])),
        ("Services", ", ".join(plan["service_cidrs"])),
        ("DNS domain", plan.get("domain") or ""),
        ("certificates", _certificates(plan)),
    ]
    return [(label, value) for label, value in rows if value]


def _certificates(plan: Plan) -> str:
    """Return which certificate of the control planes expires next; nothing where none is known."""
    known = [(node.get("certificate") or {}, host) for host, node in plan["nodes"].items()]
    rows = [(row["days_left"], host, row["name"]) for row, host in known if row]
    if not rows:
        return ""
    days, host, name = min(rows)
    return "%s on %s %s" % (name, host, "has expired" if days < 0 else "is the next to expire, in %d days" % days)


def endpoint(plan: Plan) -> str:
    """Return how nodes reach the API."""
    local = "HAProxy on every node" if plan["endpoint"].get("proxied") else "K3s's own load balancer on every node"
    words = {
        "local": local,
        "vip": "virtual address of the control planes",
        "external": "load balancer of yours" if plan.get("control_planes") else "the cluster that the nodes join",
        "none": "the control plane itself",
    }
    return words.get(plan["endpoint"]["mode"], plan["endpoint"]["mode"])


def reasons(plan: Plan) -> list[Reason]:
    """Return why the plan is as it is."""
    by_rule = {
        "etcd": plan.get("datastore"),
        "datastore": plan.get("datastore"),
        "network": plan.get("plugin"),
        "proxy_mode": "kube-proxy %s" % plan.get("proxy_mode"),
        "version": "Kubernetes %s" % plan.get("version"),
    }
    result = []
    rows: dict[tuple[str, str | None], list[tuple[str, str]]] = {}
    for row in plan["reasons"]:
        rows.setdefault((row["rule"], row.get("source")), []).append(_without_host(row, {}))
    for (rule, address), items in rows.items():
        for hosts, shared in lines.alike(items, _pattern):
            text = _with_hosts(shared, [host for host in hosts if host])
            head, colon, rest = text.partition(": ")
            if not colon or len(head) > 30:
                head, rest = by_rule.get(rule) or "", text
            result.append(Reason(head, rest, *source(address)))
    return result


def source(address: str | None) -> tuple[str, str]:
    """Return (link, name of the page) of a reason's source."""
    if not address:
        return "", ""
    if "://" not in address:
        return DOCS + address, "collection documentation: %s" % address.rsplit("/", 1)[-1].removesuffix(".md")
    parts = urlsplit(address)
    last = parts.fragment or parts.path.strip("/").rsplit("/", 1)[-1]
    return address, "%s: %s" % (parts.hostname, last.replace("-", " ") or "start page")


def found(rows: Iterable[Mapping[str, Any]], all_nodes: Mapping[str, PlanNode]) -> list[Found]:
    """Return refusals or warnings, alike ones put together over their hosts."""
    by_id: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        by_id.setdefault(str(row.get("id")), []).append(_without_host(row, all_nodes))
    result: list[Found] = []
    for items in by_id.values():
        for hosts, text in lines.alike(items, _pattern):
            named = [host for host in hosts if host]
            filled = _with_hosts(text, named)
            result.append(Found(several(named), text) if filled == text else Found("", filled))
    return result


def sentences(rows: Iterable[Mapping[str, Any]], all_nodes: Iterable[str] = ()) -> list[str]:
    """Return refusals or warnings as text, each once for all hosts that it concerns. all_nodes: inventory names."""
    return [str(one) for one in found(rows, dict.fromkeys(all_nodes, {}))]


def several(hosts: list[str]) -> str:
    """Return hosts in words, with their number where they are many."""
    return "%s (%d nodes)" % (words.names(hosts), len(hosts)) if len(hosts) > words.RUN else words.names(hosts)


def _without_host(row: Mapping[str, Any], all_nodes: Mapping[str, PlanNode]) -> tuple[str, str]:
    """Return (host, text) with the host's name taken out of the text, so that the texts of alike hosts are equal."""
    host, text = str(row.get("node") or ""), str(row["text"])
    start, colon, rest = text.partition(": ")
    if colon and (start == host or start in all_nodes):
        return start, rest
    named = re.compile(r"(?<![\w.-])%s(?![\w.-])" % re.escape(host))
    return (host, named.sub(_HOST, text)) if host and named.search(text) else (host, text)


def _pattern(host: str, text: str) -> str:
    """Return a text without numbers and without the host's own name: what the texts of alike hosts have in common."""
    return _NUMBER.sub("#", re.sub(r"(?<![\w.-])%s(?![\w-])" % re.escape(host), _HOST, text) if host else text)


def _with_hosts(text: str, hosts: list[str]) -> str:
    words = several(hosts)
    return (text.replace(_HOST + " has ", words + " have ") if len(hosts) > 1 else text).replace(_HOST, words)


def firewall(plan: Plan) -> list[str]:
    """Return the connections that a firewall must allow, one line each."""
    rows = []
    for row in plan["ports"]:
        what = "%s/%s" % (row["port"], row["protocol"].replace(", ", "+"))
        if row["port"] == "-":
            what = "all traffic" if row["protocol"] == "all" else str(row["protocol"]).upper()
        origin = row["from"].replace("all nodes, ", "all nodes and ")
        rows.append("%s, %s → %s (%s)" % (what, origin, row["to"], row["purpose"]))
    return rows


def alternatives(plan: Plan) -> list[str]:
    """Return how to get the other distribution; nothing for a cluster that exists, which keeps its own."""
    if plan.get("exists") or any(row["rule"] == "installed" for row in plan["reasons"]):
        return []
    return [row["text"] for row in plan["alternatives"]]


def next_step(plan: Plan, inventory: str = "") -> str:
    """Return the command to go on with; a sentence where there is something to correct first."""
    playbook = "ansible-playbook kubewright.cluster.%s -i " + (shlex.quote(inventory) if inventory else "INVENTORY")
    if plan["refusals"]:
        return "correct the problems, then plan again: " + playbook % "plan"
    return playbook % ("verify" if todo.is_idle(plan) else "site")


def machine(node: PlanNode) -> tuple[str, str, str]:
    """Return a node's CPUs, memory, and what is left of both for pods."""
    have = node.get("machine") or {}
    left = (node.get("capacity") or {}).get("allocatable") or {}
    cpus, memory = have.get("cpus"), have.get("memory_bytes")
    words = ["?" if value is None else "%g" % value for value in (cpus, left.get("cpus"))]
    sizes = ["?" if value is None else quantity.human(value) for value in (memory, left.get("memory_bytes"))]
    return words[0], sizes[0], "%s CPUs, %s" % (words[1], sizes[1]) if words[1] != "?" else "?"
