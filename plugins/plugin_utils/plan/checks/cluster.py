# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the cluster as a whole: its size, its needs, its names, its clocks and its networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...base import words
from ...base.distribution import Problems
from ...base.findings import Finding
from ...base.model import Datastore
from ...base.reference import GPU_PAGE, WINDOWS_PAGE
from ...inputs import forms
from ...network import addresses, cidrs, overlaps, plugins
from ...network.plugin import Situation
from .. import propose_roles, same_machine
from ..draft import Case
from .machine import NEW_MACHINE_ID

# A look arrives some seconds after it was sent, more on a slow machine.
# Nodes without a clock that runs on begin in 1970, or where they were switched off.
WRONG_SECONDS = 86400
CONTROLLER_SECONDS = 60


def no_control_plane(facts: Mapping[str, Mapping[str, Any]]) -> Finding:
    """Return the refusal of an inventory without control planes, with a proposal.

    facts: of all hosts that are known.
    """
    proposed = propose_roles.sentence(facts) or "Put one or three hosts there."
    return Finding("control_planes.none", "No host is in the group kube_control_plane (or server). %s" % proposed)


def size(case: Case) -> Problems:
    """Check the number of control planes: an even number of etcd members survives no more than one less."""
    hosts, count = ", ".join(case.control_planes), len(case.control_planes)
    external = Datastore.parse(case.cluster["datastore"]).is_external
    wanted = 2 if external else 3
    refusals: list[Finding] = []
    warnings: list[Finding] = []
    if "high_availability" in case.shared["kube_needs"] and count == 1:
        text = (
            "kube_needs has high_availability, which needs %d control planes; the inventory has one (%s). "
            "Add hosts to kube_control_plane."
        )
        refusals.append(Finding("control_planes.too_few", text % (wanted, hosts), value=1, limit=wanted))
    if external:
        return Problems(refusals, [])
    if count == 2:
        text = "2 control planes (%s): with two etcd members the loss of either stops the cluster. Use one or three."
        found = Finding("control_planes.two", text % hosts, value=2)
        (warnings if case.state["initialised"] else refusals).append(found)
    elif count and count % 2 == 0:
        text = "%d control planes survive the loss of %d, no more than %d would. Use an odd number."
        warnings.append(Finding("control_planes.even", text % (count, (count - 1) // 2, count - 1), value=count))
    return Problems(refusals, warnings)


def needs(case: Case) -> Problems:
    """Check what kube_needs asks of the machines and inputs, whatever the distribution."""
    refusals: list[Finding] = []
    warnings: list[Finding] = []
    if "air_gap" in case.shared["kube_needs"]:
        registries = case.distribution.image_registries(case.cluster)
        for host, node in sorted(case.nodes.items()):
            refusals += _air_gap(host, node["inputs"], registries)
    if "windows_workers" in case.shared["kube_needs"] and not case.state["initialised"]:
        text = (
            "kube_needs has windows_workers, and the collection does not join Windows nodes. Join them yourself when the "
            "cluster is up (%s)."
        )
        warnings.append(Finding("windows.not_joined", text % WINDOWS_PAGE, value="windows_workers"))
    if "gpu_workers" in case.shared["kube_needs"] and not any(node["info"].get("gpus") for node in case.nodes.values()):
        text = (
            "kube_needs has gpu_workers, and no node has an NVIDIA or AMD accelerator on its PCI bus. Add a "
            "node with one (%s)."
        )
        warnings.append(Finding("gpu.none", text % GPU_PAGE))
    return Problems(refusals, warnings)


def _air_gap(host: str, inputs: Mapping[str, Any], registries: Sequence[str]) -> list[Finding]:
    found = []
    if inputs["kube_artifacts"]["source"] == "upstream":
        text = (
            "%s: kube_needs has air_gap, and kube_artifacts.source is upstream. Set it to a mirror or a "
            "local directory (docs/mirrors.md)."
        )
        found.append(Finding("air_gap.upstream", text % host, host, "upstream"))
    mirrors = inputs["kube_registries"].get("mirrors") or {}
    missing = ", ".join(name for name in registries if name not in mirrors and "*" not in mirrors)
    if missing:
        text = "%s: kube_needs has air_gap, and kube_registries.mirrors has no mirror of %s. Add one (docs/mirrors.md)."
        found.append(Finding("air_gap.no_mirror", text % (host, missing), host, missing))
    return found


def names(case: Case) -> Problems:
    """Check that node names are valid and unique, and that each host is another machine."""
    found = []
    by_name: dict[str, list[str]] = {}
    for host, node in case.nodes.items():
        name = node["name"]
        if forms.node_name(name):
            text = '%s: the node name "%s" is not a DNS name of at most 63 characters (RFC 1123). Set kube_node_name.'
            found.append(Finding("node_name.invalid", text % (host, name), host, name))
        elif not node["inputs"]["kube_node_name"] and not case.joined[host]:
            wrong = _host_name(host, str(node["info"].get("hostname") or ""))
            found += wrong
            name = host if wrong else name
        by_name.setdefault(name, []).append(host)
    machines = same_machine.by_machine_id(case.nodes)
    double = [hosts for rows in machines.values() for hosts in rows if len(hosts) > 1]
    for hosts in double:
        text = "%s are one machine (%s). List it once. A control plane that takes pods goes into both groups."
        values = (words.together(hosts), ", ".join(same_machine.addresses(case.nodes[hosts[0]]["info"])))
        found.append(Finding("machine.listed_twice", text % values, hosts[0], hosts))
    for name, hosts in by_name.items():
        if len(hosts) > 1 and hosts not in double:
            text = "%s have the same node name %s. Rename the hosts, or set kube_node_name."
            found.append(Finding("node_name.not_unique", text % (words.together(hosts), name), hosts[0], name))
    for machine, rows in machines.items():
        if len(rows) > 1:
            first = [hosts[0] for hosts in rows]
            newcomers = sorted({*first} & {*_newcomers(case)})
            where = words.names(newcomers) if 0 < len(newcomers) < len(first) else "all but one of them"
            text = (
                "%s have the same machine ID %s, and are different machines. Give each its own before it joins: on %s, "
                "run `%s`, and reboot."
            )
            text %= (words.together(first), machine, where, NEW_MACHINE_ID)
            found.append(Finding("machine_id.not_unique", text, first[0], machine))
    return Problems(found, [])


def _host_name(host: str, name: str) -> list[Finding]:
    """Refuse a host name that many machines have: the node would get another name when DHCP or its owner sets one."""
    if name.partition(".")[0] != "localhost" and not addresses.is_address(name):
        return []
    text = "%s: its host name is %s. Give it another (hostnamectl set-hostname NAME), or set kube_node_name."
    return [Finding("node_name.not_own", text % (host, name), host, name)]


def clocks(case: Case) -> Problems:
    """Refuse nodes whose clock differs from the others' by more than kube_clock_tolerance, in seconds."""
    tolerance = case.shared["kube_clock_tolerance"]
    known = {host: (node["info"].get("clock") or {}).get("offset_seconds") for host, node in case.nodes.items()}
    offsets = {host: offset for host, offset in known.items() if offset is not None}
    if not offsets:
        return Problems([], [])
    middle = sorted(offsets.values())[len(offsets) // 2]
    text = (
        "%s: the clock is %.0f s %s those of the other nodes, the limit is %g s. Set it (timedatectl), "
        "or set kube_time_service: chrony."
    )
    found = []
    for host, offset in sorted(offsets.items()):
        away = offset - middle
        if abs(away) > tolerance:
            values = (host, abs(away), "ahead of" if away > 0 else "behind", tolerance)
            found.append(Finding("clock.differs", text % values, host, round(away), tolerance))
    if abs(middle) > WRONG_SECONDS and not case.state["initialised"]:
        text = "The clocks of the nodes are %.0f days %s the controller's, and the certificates of a new cluster would "
        text += "be of that time. Set them (timedatectl), or that of the controller."
        shown = text % (abs(middle) / 86400, "ahead of" if middle > 0 else "behind")
        return Problems([*found, Finding("clock.wrong", shown, None, round(middle), WRONG_SECONDS)], [])
    return Problems(found, _controller_clock(middle, max(tolerance, CONTROLLER_SECONDS)))


def _controller_clock(offset: float, limit: float) -> list[Finding]:
    """Warn if all nodes differ from the controller: new certificates may not be valid yet for one of them."""
    if abs(offset) <= limit:
        return []
    text = "The clocks of the nodes are %.0f s %s the controller's. Set the wrong one: certificates have dates."
    values = (abs(offset), "ahead of" if offset > 0 else "behind")
    return [Finding("clock.differs_from_controller", text % values, None, round(offset), limit)]


def networks(case: Case) -> Problems:
    """Check the networks of pods and Services against each other, the inputs, and hosts that are not members yet.

    The routes of a member are the cluster's own, and were checked before it joined.
    """
    pods = case.cluster["pod_networks"]
    services, found = cidrs.read("kube_service_cidrs", case.shared["kube_service_cidrs"])
    newcomers = _newcomers(case)
    places = overlaps.places(_places(case)) if newcomers else []
    problems = overlaps.check(pods, services, newcomers, places)
    if case.control_planes and not case.state["initialised"]:
        found += cidrs.families(pods, services) + cidrs.service_sizes(services)
    return Problems(found, []) + problems + _room(case)


def _places(case: Case) -> dict[str, list[str]]:
    """Return the addresses in inputs, by the name of the input: what pods and nodes must reach."""
    found: dict[str, list[str]] = {}
    endpoint = case.cluster["endpoint"]
    if endpoint["mode"] in ("vip", "external"):
        found["kube_api_endpoint"] = [endpoint["address"]]
    for node in case.nodes.values():
        inputs = node["inputs"]
        registries = inputs["kube_registries"]
        mirrors = [row for row in (registries.get("mirrors") or {}).values() if isinstance(row, Mapping)]
        for name, texts in (
            ("kube_http_proxy", [inputs["kube_http_proxy"].get(key) for key in ("http", "https")]),
            ("kube_artifacts.source", [inputs["kube_artifacts"]["source"]]),
            ("kube_registries", [*(registries.get("configs") or {}), *(registries.get("mirrors") or {})]),
            ("kube_registries", [text for row in mirrors for text in row.get("endpoints") or []]),
        ):
            found.setdefault(name, []).extend(str(text) for text in texts if text)
    found["the datastore"] = case.distribution.datastore_places(case.shared)
    return found


def _room(case: Case) -> Problems:
    """Check that the pods' networks have room for all nodes, when a node is added and the inputs set no other size."""
    if not (case.control_planes and _newcomers(case)) or case.distribution.sets_node_mask(case.shared):
        return Problems([], [])
    found = cidrs.sizes(case.cluster["pod_networks"], len(case.control_planes) + len(case.workers))
    # A plugin that users install may not use these networks.
    return Problems([], found) if case.cluster["plugin"] == plugins.USER else Problems(found, [])


def network_plugin(case: Case) -> Problems:
    """Check that the network plugin can do what is asked for."""
    situation = Situation(
        needs=case.shared["kube_needs"],
        options=case.shared["kube_network"]["options"],
        layer2_networks=case.cluster["layer2_networks"],
        # Nodes that join a cluster elsewhere use what that has.
        newcomers=_newcomers(case) if case.control_planes else {},
        running=case.state["live"].get("nodes") or [],
        service_family=6 if ":" in "".join(case.shared["kube_service_cidrs"][:1]) else 4,
    )
    plugin = plugins.by_name(case.cluster["plugin"])
    return Problems(plugin.check(situation), _mtus(case) if "mtu" in plugin.options else [])


def _mtus(case: Case) -> list[Finding]:
    """Warn of nodes whose networks have different MTUs: a pod's large packet may not fit at the other end."""
    options = case.shared["kube_network"]["options"]
    found: dict[int, str] = {}
    for host, node in sorted(case.nodes.items(), reverse=True):
        found.update({address.mtu: host for address in node["addresses"] if address.mtu})
    wanted = int(options.get("mtu") or 0)
    if found and wanted > min(found):
        text = "%s: kube_network.options.mtu is %d, and the MTU of its network is %d. Large packets of its pods may be "
        text += "lost. Set at most %d, or leave it out."
        least = min(found)
        return [
            Finding("network.mtu_too_large", text % (found[least], wanted, least, least), found[least], wanted, least)
        ]
    if len(found) < 2 or options.get("mtu"):
        return []
    least, most = min(found), max(found)
    text = (
        "%s: the MTU of its network is %d, that of %s is %d. Large packets between their pods may be lost. "
        "Set kube_network.options.mtu: %d."
    )
    values = (found[least], least, found[most], most, least)
    return [Finding("network.mtus_differ", text % values, found[least], least, most)]


def _newcomers(case: Case) -> dict[str, Mapping[str, Any]]:
    facts = {host: node["info"] for host, node in case.nodes.items()}
    return {host: info for host, info in facts.items() if not (info.get("cluster") or {}).get("kubelet_conf")}
