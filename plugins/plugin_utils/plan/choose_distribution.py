# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which distribution, and why: each rule says what it decides, by which node's number, against which limit, from which
source.

Nothing is scored. The first rule of distribution_rules.table() that applies decides; the others are shown as reasons or
warnings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..base import quantity, words
from ..base.distribution import Distribution, Inputs, Node, Nodes, Problems, Reason
from ..base.findings import Finding, reason
from ..base.reference import K3S_PAGE, SLOW_DISKS
from .distribution_rules import HARD, MACHINE_RULES, NEEDS
from .distributions import ALL, by_name, is_known, other

_SHOWN = 3  # so many obstacles to the other distribution are named
TITLES = {distribution.name: distribution.title for distribution in ALL}
# By distribution the reasons that speak against it.
Against = Mapping[str, Sequence[Reason]]


class Decision(NamedTuple):
    """The distribution of a cluster.

    reasons: each {rule, node, value, limit, source, text}. alternatives: what would have to change for the other one,
    each {distribution, text}.
    """

    distribution: str
    datastore: str
    reasons: list[Reason]
    alternatives: list[dict[str, str]]
    problems: Problems


class _Chosen(NamedTuple):
    distribution: str
    reasons: list[Reason]
    refusals: list[Finding]


def decide(nodes: Nodes, shared: Inputs, control_planes: Sequence[str]) -> Decision:
    """Choose the distribution of a cluster. nodes: by host {role, info}. shared: the cluster's inputs."""
    against = {distribution.name: obstacles(distribution, nodes) for distribution in ALL}
    name, reasons, refusals = _choose(nodes, shared, against)
    distribution = by_name(name)
    never = _hard(against[name])
    # A distribution that refuses small machines says of each machine why it cannot run there.
    strict = distribution.refuses_small_machines
    if never and not strict and not refusals:
        refusals = [_impossible(name, never)]
    datastore, why = distribution.datastore(nodes, shared, control_planes)
    elsewhere = ("memory", "cpus") if strict else ()
    weak = [row for row in _soft(against[name]) if row["rule"] not in elsewhere]
    warnings = [
        Finding(
            "distribution.weak_machine",
            "%s: %s." % (TITLES[name], row["text"]),
            row["node"],
            row["value"],
            row["limit"],
        )
        for row in weak
    ]
    problems = Problems(refusals + _unmet_needs(name, shared["kube_needs"]), warnings)
    return Decision(name, datastore, reasons + why, _alternatives(name, shared, against), problems)


def obstacles(distribution: Distribution, nodes: Nodes) -> list[Reason]:
    """Return what speaks against a distribution on these machines, in the order of rules and hosts' names."""
    alone = [node["role"] for node in nodes.values()].count("control_plane") == 1
    rows = [
        _RULES[rule](host, node, distribution, alone) for rule in MACHINE_RULES for host, node in sorted(nodes.items())
    ]
    return [row for row in rows if row]


def _choose(nodes: Nodes, shared: Inputs, against: Against) -> _Chosen:
    wanted = shared["kube_distribution"]
    installed = _installed(nodes)
    if installed:
        name, why = installed
        return _Chosen(name, [why], _never_converted(name, wanted))
    version = str(shared.get("kube_version") or "")
    named = next((each for each in ALL if each.release_suffix and each.release_suffix in version), None)
    if wanted != "auto":
        why = reason("requested", None, wanted, None, None, "%s: set by kube_distribution" % TITLES[wanted])
        return _Chosen(wanted, [why], _other_release(wanted, version) if named and named.name != wanted else [])
    if named:
        text = "%s: kube_version %s is one of its releases" % (named.title, version)
        return _Chosen(named.name, [reason("requested", None, named.name, None, None, text)], [])
    hard = {name: _hard(rows) for name, rows in against.items()}
    for_needs = _wanted_by_needs(shared["kube_needs"])
    if len(for_needs) == 2:
        names = ", ".join(sorted(row["value"] for rows in for_needs.values() for row in rows))
        text = "kube_needs: no distribution can do all of %s. Remove one of them."
        return _Chosen("kubeadm", [], [Finding("needs.contradict", text % names, value=names)])
    for name, rows in for_needs.items():
        return _Chosen(name, rows, [_impossible(name, hard[name])] if hard[name] else [])
    if hard["kubeadm"]:
        refusals = [_impossible("k3s", hard["k3s"])] if hard["k3s"] else []
        return _Chosen("k3s", [_because("K3s", row) for row in against["kubeadm"]], refusals)
    if against["kubeadm"] and not shared["kube_allow_small_nodes"] and not hard["k3s"]:
        return _Chosen("k3s", [_because("K3s", row) for row in against["kubeadm"]], [])
    return _Chosen("kubeadm", _for_kubeadm(nodes, against["kubeadm"], hard["k3s"]), [])


def _other_release(wanted: str, version: str) -> list[Finding]:
    """Refuse the release of another distribution than the wanted one."""
    text = "kube_version %s is not a release of %s, which kube_distribution asks for. Set kube_version: %s."
    values = (version, TITLES[wanted], version.partition("+")[0])
    return [Finding("version.of_other_distribution", text % values, None, version, wanted)]


def _for_kubeadm(nodes: Nodes, weak: Sequence[Reason], never_k3s: Sequence[Reason]) -> list[Reason]:
    """Return why kubeadm: the machines are fit for it, or K3s cannot run, or the user accepts small machines."""
    if not weak:
        return [_smallest(nodes)]
    if never_k3s:
        return [_because("kubeadm", row) for row in never_k3s]
    return [_because("kubeadm, because of kube_allow_small_nodes", row) for row in weak]


def _installed(nodes: Nodes) -> tuple[str, Reason] | None:
    """Return (distribution, reason) of the cluster that exists, or None.

    Different kinds in one inventory are refused elsewhere.
    """
    found: dict[str, list[str]] = {}
    for host, node in sorted(nodes.items()):
        kind = (node["info"].get("cluster") or {}).get("kind")
        if kind and is_known(kind):
            found.setdefault(kind, []).append(host)
    if not found:
        return None
    kind = min(found, key=lambda name: (-len(found[name]), name))
    text = "%s: it runs on %s" % (TITLES[kind], ", ".join(found[kind][:_SHOWN]))
    return kind, reason("installed", found[kind][0], kind, None, None, text)


def _never_converted(installed: str, wanted: str) -> list[Finding]:
    if wanted in ("auto", installed):
        return []
    text = (
        "kube_distribution %s: the cluster runs %s, and a running cluster is not converted to another distribution. "
        "Set kube_distribution to %s or auto, or move the workloads to a new cluster on other machines."
    )
    return [Finding("distribution.fixed", text % (wanted, TITLES[installed], installed), None, wanted, installed)]


def _wanted_by_needs(needs: Sequence[str]) -> dict[str, list[Reason]]:
    """Return reasons by distribution.

    A need that one distribution only meets better gives way to one that only one can meet.
    """
    rows: dict[str, list[Reason]] = {}
    must = any(NEEDS[need]["hard"] for need in needs if need in NEEDS)
    for need in sorted(set(needs) & set(NEEDS)):
        data = NEEDS[need]
        if must and not data["hard"]:
            continue
        text = "%s: kube_needs has %s; %s %s" % (TITLES[data["for"]], need, TITLES[data["for"]], data["text"])
        rows.setdefault(data["for"], []).append(reason("need", None, need, None, data["source"], text))
    return rows


def _unmet_needs(chosen: str, needs: Sequence[str]) -> list[Finding]:
    """Return a refusal for each need that the chosen distribution cannot meet."""
    text = "kube_needs has %s: %s %s. Remove it from kube_needs, or set kube_distribution: %s."
    return [
        Finding("needs.unmet", text % (need, TITLES[row["for"]], row["text"], row["for"]), None, need, row["for"])
        for need, row in sorted(NEEDS.items())
        if need in needs and row["hard"] and row["for"] != chosen
    ]


def _impossible(name: str, rows: Sequence[Reason]) -> Finding:
    hosts = ", ".join(dict.fromkeys(row["node"] for row in rows))
    text = "%s cannot run on these machines: %s. Remove %s from the inventory (%s)."
    values = (TITLES[name], "; ".join(what for _hosts, what in _alike(rows)), hosts, by_name(name).source)
    return Finding("distribution.impossible", text % values, rows[0]["node"], rows[0]["value"], rows[0]["limit"])


def _alike(rows: Sequence[Reason]) -> list[tuple[str, str]]:
    """Return (hosts, what they have or are), once for all hosts of which the same is true."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        verb, _blank, rest = row["text"].removeprefix("%s " % row["node"]).partition(" ")
        found.setdefault((verb, rest), []).append(row["node"])
    plural = {"has": "have", "is": "are"}
    shown = [
        (words.together(hosts), verb if len(hosts) == 1 else plural[verb], rest)
        for (verb, rest), hosts in found.items()
    ]
    return [(hosts, "%s %s %s" % (hosts, verb, rest)) for hosts, verb, rest in shown]


def _because(title: str, row: Reason) -> Reason:
    return {**row, "text": "%s: %s" % (title, row["text"])}


def _smallest(nodes: Nodes) -> Reason:
    """Return the reason that names the node closest to the limit."""
    minimum = by_name("kubeadm").minimum

    def room(host: str) -> tuple[float, str]:
        memory = nodes[host]["info"]["memory"]["usable_bytes"]
        return ((memory or 0) - minimum[nodes[host]["role"]]["memory"], host)

    host = min(nodes, key=room)
    memory = nodes[host]["info"]["memory"]["usable_bytes"] or 0
    need = minimum[nodes[host]["role"]]
    text = "kubeadm: every node has the resources; the smallest, %s, has %s of memory (limit %s)"
    values = (host, quantity.human(memory), quantity.human(need["memory"]))
    return reason("memory", host, memory, need["memory"], need["source"], text % values)


def _alternatives(chosen: str, shared: Inputs, against: Against) -> list[dict[str, str]]:
    """Return what would have to change for the other distribution: what prevents it, and the input."""
    alternative = other(chosen)
    rows = against[alternative.name]
    pieces = ["replace %s (%s)" % row for row in _alike(_hard(rows))]
    soft = [row["text"] for row in _soft(rows)]
    if soft:
        more = ["and %d more" % (len(soft) - _SHOWN)] if len(soft) > _SHOWN else []
        pieces.append("correct this: " + ", ".join(soft[:_SHOWN] + more))
    if shared["kube_distribution"] == chosen or not pieces:
        pieces.append("set kube_distribution: %s" % alternative.name)
    return [
        {"distribution": alternative.name, "text": "To get %s instead: %s" % (alternative.title, "; ".join(pieces))}
    ]


def _hard(rows: Sequence[Reason]) -> list[Reason]:
    return [row for row in rows if row["rule"] in HARD]


def _soft(rows: Sequence[Reason]) -> list[Reason]:
    return [row for row in rows if row["rule"] not in HARD]


# -- the rules of machines: a reason against the distribution, or None. alone: True with one control plane


def _architecture(host: str, node: Node, distribution: Distribution, alone: bool) -> Reason | None:
    # Of armv6l and i686, for example, only the kernel's own name is known.
    name = node["info"]["architecture"]["name"] or node["info"]["architecture"].get("raw")
    if not name or name in distribution.architectures:
        return None
    text = "%s is %s, for which %s has no release" % (host, name, distribution.releases_of)
    return reason("architecture", host, name, ", ".join(distribution.architectures), distribution.source, text)


def _init(host: str, node: Node, distribution: Distribution, alone: bool) -> Reason | None:
    name = node["info"]["init"]
    if name in distribution.inits:
        return None
    has = "neither systemd nor OpenRC" if name == "other" else "the init system %s" % name
    text = "%s has %s, %s needs %s" % (host, has, distribution.title, " or ".join(distribution.inits))
    return reason("init", host, name, ", ".join(distribution.inits), distribution.source, text)


def _memory(host: str, node: Node, distribution: Distribution, alone: bool) -> Reason | None:
    value, need = node["info"]["memory"]["usable_bytes"], distribution.minimum[node["role"]]["memory"]
    if value is None or value >= need:
        return None
    text = "%s has %s of memory, %s needs %s" % (host, quantity.human(value), distribution.title, quantity.human(need))
    return reason("memory", host, value, need, distribution.source, text)


def _cpus(host: str, node: Node, distribution: Distribution, alone: bool) -> Reason | None:
    value, need = node["info"]["cpus"]["count"], distribution.minimum[node["role"]]["cpus"]
    if value is None or value >= need:
        return None
    role = node["role"].replace("_", " ")
    text = "%s has %g CPU, a %s of %s needs %d" % (host, value, role, distribution.title, need)
    return reason("cpus", host, value, need, distribution.source, text)


def _etcd_disk(host: str, node: Node, distribution: Distribution, alone: bool) -> Reason | None:
    disk = distribution.etcd_disk(node["info"].get("disks") or {}, alone)
    kind = str((disk or {}).get("kind"))
    if node["role"] != "control_plane" or kind not in SLOW_DISKS:
        return None
    name = {"sd": "an SD card", "emmc": "eMMC"}[kind]
    text = "%s has its etcd on %s, which is too slow for etcd and wears out; use an SSD" % (host, name)
    return reason("etcd_disk", host, kind, "ssd, nvme", K3S_PAGE, text)


_RULES: dict[str, Callable[[str, Node, Distribution, bool], Reason | None]] = {
    "architecture": _architecture,
    "init": _init,
    "memory": _memory,
    "cpus": _cpus,
    "etcd_disk": _etcd_disk,
}
