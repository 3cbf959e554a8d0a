# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the nodes of a cluster share: distribution, datastore, version, networks, endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..base import versions
from ..base.distribution import Cluster, Distribution, Inputs
from ..base.findings import Finding
from ..base.model import Member
from ..network import addresses, cidrs, endpoint, node_addresses, paths_between, plugins as network
from ..network.plugin import IPNetwork
from . import auto_values, choose_distribution, distributions, membership, same_machine
from .draft import Draft


def describe(
    draft: Draft, shared: Inputs, state: dict[str, Any], control_planes: Sequence[str], complete: bool
) -> Cluster:
    """Return what all nodes share, as the inventory asks for it and the machines allow it. Findings and reasons go into
    the draft.

    shared: the cluster's inputs. state: membership.find(). control_planes: those whose facts are known. complete: False
    if the facts of a node are missing, so that nothing can be said about what the servers store in.
    """
    decision = choose_distribution.decide(draft.nodes, shared, control_planes)
    draft.reasons += decision.reasons
    draft.add(decision.problems)
    distribution = distributions.by_name(decision.distribution)
    datastore, converts = decision.datastore, None
    if complete:
        healthy = bool(state["live"].get("healthy"))
        datastore, converts, problems = distribution.settle_datastore(
            datastore, draft.nodes, shared, control_planes, healthy
        )
        draft.add(problems)
    pods, problems_of_pods = cidrs.read("kube_pod_cidrs", shared["kube_pod_cidrs"])
    draft.refuse(problems_of_pods)
    # Workers of a cluster that was made elsewhere have that cluster's networks, which are not known here.
    families = [item.version for item in pods] if control_planes else []
    _set_addresses(draft, families, state, distribution)
    layer2_networks = network.layer2_networks(
        (host, node["addresses"], node["info"]["network"]) for host, node in draft.nodes.items() if node["addresses"]
    )
    chosen = _choose(draft, shared, state, distribution, pods, layer2_networks)
    members = sorted((_member(draft, host) for host in control_planes), key=lambda member: member["name"])
    known = [member["address"] for member in members if member["address"]]
    place, problems_of_endpoint = endpoint.choose(
        shared["kube_api_endpoint"],
        shared["kube_api_port"],
        known,
        distribution.balancer_port,
        len(draft.nodes) - len(control_planes),
    )
    draft.refuse(problems_of_endpoint)
    own_names = ["127.0.0.1", "localhost"] if place["mode"] == "local" else []
    return {
        "distribution": distribution.name,
        "datastore": datastore,
        "alternatives": decision.alternatives,
        "converts": converts,
        **chosen,
        "api_version": distribution.config_api(versions.parse(chosen["version"])),
        "name": shared["kube_cluster_name"],
        "domain": shared["kube_cluster_domain"],
        "endpoint": place,
        "api_port": shared["kube_api_port"],
        "members": members,
        # kubeadm takes names in lower case only.
        "sans": sorted({name.lower() for name in (place["address"], *shared["kube_api_sans"], *own_names)}),
        "pod_cidrs": shared["kube_pod_cidrs"],
        "service_cidrs": shared["kube_service_cidrs"],
        "database": distribution.datastore_shown(shared, datastore),
        "leader": state["leader"],
        "leader_address": draft.nodes[state["leader"]]["address"] if state["leader"] else None,
        "exists": state["initialised"],
        "running_members": sorted(draft.nodes[host]["name"] for host in control_planes if state["complete"][host]),
        "secrets_encryption": distribution.encrypts_secrets(draft.nodes, shared, state["initialised"]),
        "no_proxy": _no_proxy(shared, draft, place["address"]),
        "has_workers": len(draft.nodes) > len(control_planes),
        "pod_networks": pods,
        "layer2_networks": layer2_networks,
        "any_version": draft.any_version,
        "upgrades": draft.upgrades,
        "behind_vpn": any(
            addresses.is_vpn(address, node["info"]["network"])
            for node in draft.nodes.values()
            for address in node["addresses"]
        ),
        "shared": shared,
        "drift": [],
    }


def _member(draft: Draft, host: str) -> Member:
    return {"name": draft.nodes[host]["name"], "address": draft.nodes[host]["address"]}


def _no_proxy(shared: Inputs, draft: Draft, endpoint_address: str) -> list[str]:
    """Return what is never reached through the HTTP proxy: networks, so that no file depends on the list of nodes."""
    own = {
        addresses.interface_of(address.address, node["info"]["network"])[1]
        for node in draft.nodes.values()
        for address in node["addresses"]
    }
    return [
        *shared["kube_pod_cidrs"],
        *shared["kube_service_cidrs"],
        *sorted(network for network in own if network),
        "." + shared["kube_cluster_domain"],
        ".svc",
        endpoint_address,
    ]


def _set_addresses(draft: Draft, families: Sequence[int], state: dict[str, Any], distribution: Distribution) -> None:
    """Set each node's `address` (text) and `addresses` (base.model.Address, the primary one first)."""
    wrong: list[Finding] = []
    known = {row["name"]: (row.get("addresses") or {}).get("InternalIP") for row in state["live"].get("nodes") or []}
    for host, node in draft.nodes.items():
        member = node["info"].get("cluster") or {}
        kept = (known.get(node["name"]) or member.get("node_ips") or []) if member.get("kubelet_conf") else []
        request = node_addresses.Request(
            host,
            str(node["inputs"]["kube_node_ip"] or ""),
            node["info"]["network"],
            kept,
            distribution.keeps_address(node["role"]),
        )
        node["addresses"], found = node_addresses.choose(request, list(dict.fromkeys(families)))
        node["address"] = node["addresses"][0].address if node["addresses"] else None
        wrong += found
    changed = [str(one.node) for one in wrong if one.id in node_addresses.OF_MEMBERS]
    ends = {host: membership.or_reset(draft.nodes, host, changed) for host in dict.fromkeys(changed)}
    of_members = node_addresses.OF_MEMBERS
    draft.refuse(replace(one, text=one.text + ends[str(one.node)]) if one.id in of_members else one for one in wrong)
    facts = {host: node["info"]["network"] for host, node in draft.nodes.items()}
    again = same_machine.listed_twice(draft.nodes)  # said on its own: these have the same addresses, of course
    known_once = {host: node["addresses"] for host, node in draft.nodes.items() if host not in again}
    problems = node_addresses.not_unique(known_once, facts)
    draft.refuse(problems)
    if not wrong + problems:
        is_new = {
            host: not (node["info"].get("cluster") or {}).get("kubelet_conf") for host, node in draft.nodes.items()
        }
        draft.warn(paths_between.crossing(known_once, facts, [host for host in known_once if is_new[host]]))


def _running_version(draft: Draft, state: dict[str, Any], distribution: Distribution) -> str:
    """Return the running cluster's version: its API's, or its control plane's program's while the API is silent."""
    if state["live"].get("version") or state["start"] != "wait":
        return state["live"].get("version") or ""
    programs = draft.nodes[state["leader"]]["info"].get("installed") or {}
    return (programs.get(distribution.version_program) or {}).get("version") or ""


def _choose(
    draft: Draft,
    shared: Inputs,
    state: dict[str, Any],
    distribution: Distribution,
    pods: Sequence[IPNetwork],
    layer2_networks: dict[str | None, list[str]],
) -> dict[str, Any]:
    """Choose version, network plugin and kube-proxy's mode.

    From here on the nodes' inputs have what was chosen instead of "auto".
    """
    needs = shared["kube_needs"]
    running, _plus, revision = _running_version(draft, state, distribution).lstrip("v").partition("+")
    wanted = shared["kube_version"]
    if not wanted and not running:
        wanted = distribution.installed_version(draft.nodes)
    plugin = auto_values.running_plugin(draft.nodes, distribution) if state["initialised"] else None
    choices = {
        "version": auto_values.version(wanted, running, draft.nodes),
        "plugin": auto_values.plugin(
            distribution, shared["kube_network"]["plugin"], plugin, needs, pods, layer2_networks
        ),
        "proxy_mode": auto_values.proxy_mode(
            shared["kube_proxy_mode"], auto_values.running_proxy_mode(draft.nodes, state), needs, draft.nodes
        ),
    }
    for choice in choices.values():
        draft.reasons += choice.reasons
        draft.add(choice.problems)
    chosen: dict[str, Any] = {name: choice.value for name, choice in choices.items()}
    kept = revision if chosen["version"] == running else ""
    fields, why = distribution.cluster_fields(draft.nodes, shared, chosen, wanted.partition("+")[2] or kept)
    chosen.update(fields)
    draft.reasons += why
    if not draft.any_version:
        draft.refuse(auto_values.no_upgrade(chosen["version"], running, draft.nodes, state))
    for node in draft.nodes.values():
        node["inputs"]["kube_network"]["plugin"] = chosen["plugin"]
        node["inputs"]["kube_proxy_mode"] = chosen["proxy_mode"]
    return chosen
