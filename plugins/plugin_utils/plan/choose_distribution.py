# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which distribution, and why: each rule says what it decides, on which node's number, against which limit, from which source.

Nothing is scored. The first rule of rules.table() that has something to say decides; the others are told as reasons or warnings.
"""

from __future__ import annotations

from ..base import quantity
from ..base.distribution import Distribution
from ..base.findings import reason
from ..base.reference import K3S_PAGE, SLOW_DISKS
from .distribution_rules import HARD, MACHINE_RULES, NEEDS
from .distributions import ALL, by_name, is_known, other

_SHOWN = 3  # so many obstacles to the other distribution are named
TITLES = {distribution.name: distribution.title for distribution in ALL}


def decide(nodes: dict, shared: dict, control_planes: list) -> dict:
    """The distribution of a cluster.

    nodes: by host {role, info}. shared: the cluster's inputs.
    Returns {distribution, datastore, reasons, alternatives, warnings, refusals}. A reason is {rule, node, value, limit, source, text}; an
    alternative {distribution, text}: what would have to change for the other one.
    """
    against = {distribution.name: obstacles(distribution, nodes) for distribution in ALL}
    chosen, reasons, refusals = _choose(nodes, shared, against)
    distribution = by_name(chosen)
    never = [row for row in against[chosen] if row["rule"] in HARD]
    # A distribution that refuses small machines says of each machine why it cannot run there.
    strict = distribution.refuses_small_machines
    if never and not strict and not refusals:
        refusals = [_impossible(chosen, never)]
    datastore, why = distribution.datastore(nodes, shared, control_planes)
    elsewhere = ("memory", "cpus") if strict else ()
    warnings = [
        "%s: %s" % (TITLES[chosen], row["text"]) for row in _soft(against[chosen]) if row["rule"] not in elsewhere
    ]
    return {
        "distribution": chosen,
        "datastore": datastore,
        "reasons": reasons + why,
        "alternatives": _alternatives(chosen, shared, against),
        "warnings": warnings,
        "refusals": refusals + _needs_refused(chosen, shared["kube_needs"]),
    }


def obstacles(distribution: Distribution, nodes: dict) -> list:
    """What speaks against a distribution on these machines, in the order of the rules and of the hosts' names."""
    found = []
    alone = [node["role"] for node in nodes.values()].count("control_plane") == 1
    for rule in MACHINE_RULES:
        for host, node in sorted(nodes.items()):
            row = _RULES[rule](host, node, distribution, alone)
            if row:
                found.append(row)
    return found


def _choose(nodes, shared, against):
    """(distribution, reasons, refusals)."""
    installed = _installed(nodes)
    if installed:
        return installed[0], installed[1], _never_flipped(installed, shared["kube_distribution"])
    if shared["kube_distribution"] != "auto":
        wish = shared["kube_distribution"]
        return wish, [reason("wish", None, wish, None, None, "%s: kube_distribution asks for it" % TITLES[wish])], []
    for_needs = _wanted_by_needs(shared["kube_needs"])
    hard = {name: [row for row in rows if row["rule"] in HARD] for name, rows in against.items()}
    if len(for_needs) == 2:
        names = ", ".join(sorted(row["value"] for rows in for_needs.values() for row in rows))
        return "kubeadm", [], ["kube_needs: %s cannot be met by one distribution; leave one of them out" % names]
    for name, rows in for_needs.items():
        return name, rows, [_impossible(name, hard[name])] if hard[name] else []
    if hard["kubeadm"]:
        refusals = [_impossible("k3s", hard["k3s"])] if hard["k3s"] else []
        return "k3s", [_told("K3s", row) for row in against["kubeadm"]], refusals
    if against["kubeadm"] and not shared["kube_allow_small_nodes"] and not hard["k3s"]:
        return "k3s", [_told("K3s", row) for row in against["kubeadm"]], []
    return "kubeadm", _for_kubeadm(nodes, against["kubeadm"], hard["k3s"]), []


def _for_kubeadm(nodes, weak, never_k3s):
    """Why kubeadm: the machines are fit for it, or there is no other, or the user accepts what they lack."""
    if not weak:
        return [_smallest(nodes)]
    if never_k3s:
        return [_told("kubeadm", row) for row in never_k3s]
    return [_told("kubeadm, as kube_allow_small_nodes has it", row) for row in weak]


def _installed(nodes):
    """(distribution, reasons) of the cluster that is there, or None. Several kinds on one inventory are another rule's to refuse."""
    found = {}
    for host, node in sorted(nodes.items()):
        kind = (node["info"].get("cluster") or {}).get("kind")
        if is_known(kind):
            found.setdefault(kind, []).append(host)
    if not found:
        return None
    kind = min(found, key=lambda name: (-len(found[name]), name))
    text = "%s: it is what runs on %s" % (TITLES[kind], ", ".join(found[kind][:3]))
    return kind, [reason("installed", found[kind][0], kind, None, None, text)]


def _never_flipped(installed, wish):
    if wish in ("auto", installed[0]):
        return []
    return [
        "kube_distribution %s: %s is what runs here, and a running cluster is not turned into another distribution; "
        "set kube_distribution to %s or auto, or move what runs to a new cluster on other machines"
        % (wish, TITLES[installed[0]], installed[0])
    ]


def _wanted_by_needs(needs):
    """Reasons by distribution. A need that only weighs gives way to one that must."""
    rows = {}
    must = any(NEEDS[need]["hard"] for need in needs if need in NEEDS)
    for need in sorted(set(needs) & set(NEEDS)):
        data = NEEDS[need]
        if must and not data["hard"]:
            continue
        text = "%s: kube_needs asks for %s; %s %s" % (TITLES[data["for"]], need, TITLES[data["for"]], data["text"])
        rows.setdefault(data["for"], []).append(reason("need", None, need, None, data["source"], text))
    return rows


def _needs_refused(chosen, needs):
    """Needs that the chosen distribution cannot meet."""
    return [
        "kube_needs: %s %s; leave %s out, or set kube_distribution to %s"
        % (TITLES[NEEDS[need]["for"]], NEEDS[need]["text"], need, NEEDS[need]["for"])
        for need in sorted(set(needs) & set(NEEDS))
        if NEEDS[need]["hard"] and NEEDS[need]["for"] != chosen
    ]


def _impossible(name, rows):
    return "%s cannot run on these machines: %s; take %s out of the inventory (%s)" % (
        TITLES[name],
        "; ".join(row["text"] for row in rows),
        ", ".join(dict.fromkeys(row["node"] for row in rows)),
        by_name(name).source,
    )


def _told(title, row):
    return {**row, "text": "%s: %s" % (title, row["text"])}


def _smallest(nodes):
    """The node that came closest to the limit."""
    minimum = by_name("kubeadm").minimum

    def room(host):
        memory = nodes[host]["info"]["memory"]["usable_bytes"]
        return ((memory or 0) - minimum[nodes[host]["role"]]["memory"], host)

    host = min(nodes, key=room)
    memory = nodes[host]["info"]["memory"]["usable_bytes"] or 0
    need = minimum[nodes[host]["role"]]
    text = "kubeadm: every node has what it needs; the smallest, %s, has %s of memory (limit %s)" % (
        host,
        quantity.human(memory),
        quantity.human(need["memory"]),
    )
    return reason("memory", host, memory, need["memory"], need["source"], text)


def _alternatives(chosen, shared, against):
    """Return what would have to change for the other distribution: what is in its way, and the input."""
    alternative = other(chosen)
    hard = [row for row in against[alternative.name] if row["rule"] in HARD]
    pieces = ["replace %s (%s)" % (row["node"], row["text"]) for row in hard]
    soft = [row["text"] for row in _soft(against[alternative.name])]
    if soft:
        more = ["and %d more" % (len(soft) - _SHOWN)] if len(soft) > _SHOWN else []
        pieces.append("correct this: " + ", ".join(soft[:_SHOWN] + more))
    if shared["kube_distribution"] == chosen or not pieces:
        pieces.append("set kube_distribution: %s" % alternative.name)
    return [{"distribution": alternative.name, "text": "To get %s instead: %s" % (alternative.title, "; ".join(pieces))}]


def _soft(rows):
    return [row for row in rows if row["rule"] not in HARD]


# -- the rules of machines: (host, node, distribution, alone) to a reason against it, or None. alone: True with one control plane


def _architecture(host, node, distribution, alone):
    name = node["info"]["architecture"]["name"]
    if name is None or name in distribution.architectures:
        return None
    text = "%s is %s, for which %s has no release" % (host, name, distribution.releases_of)
    return reason("architecture", host, name, ", ".join(distribution.architectures), distribution.source, text)


def _init(host, node, distribution, alone):
    name = node["info"]["init"]
    if name in distribution.inits:
        return None
    text = "%s has the init system %s, %s needs %s" % (host, name, distribution.title, " or ".join(distribution.inits))
    return reason("init", host, name, ", ".join(distribution.inits), distribution.source, text)


def _memory(host, node, distribution, alone):
    value, need = node["info"]["memory"]["usable_bytes"], distribution.minimum[node["role"]]["memory"]
    if value is None or value >= need:
        return None
    text = "%s has %s of memory, %s needs %s" % (host, quantity.human(value), distribution.title, quantity.human(need))
    return reason("memory", host, value, need, distribution.source, text)


def _cpus(host, node, distribution, alone):
    value, need = node["info"]["cpus"]["count"], distribution.minimum[node["role"]]["cpus"]
    if value is None or value >= need:
        return None
    role = node["role"].replace("_", " ")
    text = "%s has %g CPU, a %s of %s needs %d" % (host, value, role, distribution.title, need)
    return reason("cpus", host, value, need, distribution.source, text)


def _etcd_disk(host, node, distribution, alone):
    disk = distribution.etcd_disk(node["info"].get("disks") or {}, alone)
    kind = (disk or {}).get("kind")
    if node["role"] != "control_plane" or kind not in SLOW_DISKS:
        return None
    name = {"sd": "an SD card", "emmc": "eMMC"}[kind]
    text = "%s has its etcd on %s, which wears out and is too slow for it; an SSD is not" % (host, name)
    return reason("etcd_disk", host, kind, "ssd, nvme", K3S_PAGE, text)


_RULES = {"architecture": _architecture, "init": _init, "memory": _memory, "cpus": _cpus, "etcd_disk": _etcd_disk}
