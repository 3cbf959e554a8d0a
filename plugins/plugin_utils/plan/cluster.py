# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the nodes of a cluster share, and whether it can work: the middle part of the plan."""

from __future__ import annotations

from ..base import versions
from ..k3s import (
    artifacts as k3s_install,
    config_checks as k3s_check,
    datastore as k3s_datastore,
    distribution as k3s_plan,
    hardening as k3s_hardening,
    packaged_components as k3s_parts,
    selinux as k3s_selinux,
)
from ..kubeadm import config as kubeadm_config, config_drift as drift, distribution as kubeadm_plan
from ..machine import containerd as containerd_config, kubelet as kubelet_config
from ..network import addresses, endpoint, flannel as k3s_flannel, plugins as network
from . import auto_values as choices, checks, choose_distribution as decision, cluster_objects as labels, membership


def describe(draft, shared: dict, state: dict, control_planes: list) -> dict:
    """What all nodes share, as the inventory wants it and the machines allow.

    draft: planner.Draft. shared: the cluster's inputs. state: membership.find().
    """
    decided = _decide(draft, shared, control_planes)
    _settle(draft, shared, decided, state, control_planes)
    pods, problems = addresses.networks("kube_pod_cidrs", shared["kube_pod_cidrs"])
    draft.refuse(problems)
    families = [item.version for item in pods]
    _addresses(draft, control_planes, families if decided["distribution"] == "k3s" and len(set(families)) == 2 else [])
    homes = network.homes(
        [
            {"host": host, "address": node["address"], "network": node["info"]["network"]}
            for host, node in draft.nodes.items()
            if node["address"]
        ]
    )
    chosen = _choose(draft, shared, state, decided["distribution"], pods, homes)
    members = sorted(
        ({"name": draft.nodes[host]["name"], "address": draft.nodes[host]["address"]} for host in control_planes),
        key=lambda item: item["name"],
    )
    place, problems = endpoint.choose(
        shared["kube_api_endpoint"],
        shared["kube_api_port"],
        [item["address"] for item in members],
        decided["distribution"] == "k3s",
    )
    draft.refuse(problems)
    own_names = ["127.0.0.1", "localhost"] if place["mode"] == "local" else []
    return {
        **decided,
        **chosen,
        "api_version": kubeadm_config.api_version(versions.parse(chosen["version"])),
        "name": shared["kube_cluster_name"],
        "domain": shared["kube_cluster_domain"],
        "endpoint": place,
        "api_port": shared["kube_api_port"],
        "members": members,
        "sans": sorted({place["address"], *shared["kube_api_sans"], *own_names}),
        "pod_cidrs": shared["kube_pod_cidrs"],
        "service_cidrs": shared["kube_service_cidrs"],
        "database": k3s_datastore.shown(shared["k3s_datastore_endpoint"]) if decided["datastore"].startswith("external ") else "",
        "leader": state["leader"],
        "leader_address": draft.nodes[state["leader"]]["address"] if state["leader"] else None,
        "exists": state["initialised"],
        "secrets_encryption": k3s_plan.encrypted(draft.nodes, shared, state["initialised"]),
        # Nothing on a node depends on the list of all nodes: networks, not addresses.
        "no_proxy": [
            *shared["kube_pod_cidrs"],
            *shared["kube_service_cidrs"],
            *sorted(home for home in homes if home),
            "." + shared["kube_cluster_domain"],
            ".svc",
            place["address"],
        ],
        "has_workers": len(draft.nodes) > len(control_planes),
        "pod_networks": pods,
        "layer2_networks": homes,
        "shared": shared,
    }


def _decide(draft, shared, control_planes):
    """The distribution with its datastore; what speaks for and against it goes into the draft."""
    found = decision.decide(draft.nodes, shared, control_planes)
    draft.reasons += found["reasons"]
    draft.warn(found["warnings"])
    draft.refuse(found["refusals"])
    return {name: found[name] for name in ("distribution", "datastore", "alternatives")}


def _settle(draft, shared, decided, state, control_planes):
    """What K3s's servers store in already counts for more than what the inventory's size says."""
    decided["converts"] = None
    if decided["distribution"] != "k3s":
        return
    known = k3s_datastore.there(draft.nodes, control_planes)
    decided["datastore"], decided["converts"], refusals = k3s_datastore.settle(
        decided["datastore"], known, shared["k3s_convert_datastore"], bool(state["live"].get("healthy"))
    )
    draft.refuse(refusals)
    if decided["converts"]:
        draft.warn(["%s is converted from SQLite to embedded etcd; its API is away for about a minute" % decided["converts"]])


def _addresses(draft, control_planes, families):
    """Each node's address; for K3s with pods of both families its addresses too, in their order."""
    for host in control_planes + [host for host in draft.nodes if host not in control_planes]:
        node = draft.nodes[host]
        wish, network = node["inputs"]["kube_node_ip"], node["info"]["network"]
        if families:
            node["addresses"], problem = addresses.both_addresses(wish, network, families)
            node["address"] = node["addresses"][0] if node["addresses"] else None
        else:
            node["address"], problem = addresses.node_address(wish, network)
        if problem:
            draft.refuse(["%s: %s" % (host, problem)])


def _choose(draft, shared, state, distribution, pods, homes):
    """Version, network plugin and kube-proxy's mode. The nodes' inputs say from here on what was chosen, and no longer "auto"."""
    live, needs = state["live"], shared["kube_needs"]
    running, _plus, revision = (live.get("version") or "").lstrip("v").partition("+")
    wish = shared["kube_version"]
    if distribution == "k3s" and not wish and not running:
        wish = k3s_install.present(draft.nodes)
    plugin = choices.running_plugin(draft.nodes) if state["initialised"] else None
    found = {
        "version": choices.version(wish, running, draft.nodes),
        "plugin": choices.plugin(shared["kube_network"]["plugin"], plugin, needs, pods, homes)
        if distribution == "kubeadm"
        else choices.k3s_plugin(shared["kube_network"]["plugin"]),
        "proxy_mode": choices.proxy_mode(shared["kube_proxy_mode"], live.get("proxy_mode"), needs, draft.nodes),
    }
    for row in found.values():
        draft.reasons += row[1]
        draft.warn(row[2])
        draft.refuse(row[3])
    chosen = {name: row[0] for name, row in found.items()}
    if distribution == "k3s":
        chosen["disable"], why = k3s_parts.off(shared, chosen["plugin"]) if _servers(draft) else ([], [])
        draft.reasons += why
        chosen["release"] = k3s_plan.release(chosen["version"], wish.partition("+")[2] or revision)
    if running and chosen["version"] != running:
        draft.refuse(
            [
                "kube_version %s differs from the running cluster's %s; site does not upgrade a running cluster: set kube_version to %s or leave it out"
                % (chosen["version"], running, running)
            ]
        )
    for node in draft.nodes.values():
        node["inputs"]["kube_network"]["plugin"] = chosen["plugin"]
        node["inputs"]["kube_proxy_mode"] = chosen["proxy_mode"]
    return chosen


def examine(draft, shared: dict, cluster: dict, state: dict, control_planes: list, workers: list) -> None:
    """All that cannot work, into the draft; and where a running cluster differs from the wanted one, into the cluster."""
    elsewhere = cluster["datastore"].startswith("external")
    if control_planes:
        refusals, warnings = checks.layout(
            control_planes, workers, state["initialised"], shared["kube_needs"], external=elsewhere
        )
        draft.refuse(refusals)
        draft.warn(warnings)
    refusals, warnings = checks.needs(draft.nodes, shared["kube_needs"], _registries(cluster))
    draft.refuse(refusals)
    draft.warn(warnings)
    draft.refuse(checks.names(draft.nodes))
    draft.refuse(checks.clocks(draft.nodes, shared["kube_clock_tolerance"]))
    draft.refuse(checks.at_once(shared["kube_workers_at_once"]))
    outside = bool(shared["k3s_token"]) if cluster["distribution"] == "k3s" and elsewhere else None
    draft.refuse(membership.problems(draft.nodes, control_planes, state["leader"], cluster["distribution"], outside))
    _networks(draft, shared, cluster)
    if cluster["distribution"] == "k3s":
        _k3s(draft, shared, cluster, state)
    else:
        _drift(draft, cluster, state)
    for host, node in draft.nodes.items():
        _node(draft, host, node, cluster, state["complete"][host] or membership.has_data(node["info"]))


def _k3s(draft, shared, cluster, state):
    draft.refuse(k3s_plan.problems(shared))
    draft.refuse(k3s_plan.fixed(draft.nodes, shared))
    encrypts = k3s_plan.encrypts(draft.nodes)
    draft.refuse(k3s_hardening.fixed(shared, draft.nodes, state["initialised"], encrypts))
    draft.warn(k3s_hardening.warnings(shared, encrypts or not state["initialised"], draft.nodes))
    draft.refuse(k3s_datastore.among_servers(draft.nodes, _servers(draft)))
    draft.warn(k3s_parts.warnings(shared))
    fresh = {host: node for host, node in draft.nodes.items() if not state["complete"][host]}
    options = shared["kube_network"]["options"]
    # Agents alone have the backend of the cluster that they join.
    if _servers(draft):
        draft.refuse(k3s_flannel.problems(cluster["plugin"], options, fresh, cluster["layer2_networks"], state["live"]))
    cluster["drift"] = []


def _servers(draft):
    return [host for host, node in draft.nodes.items() if node["role"] == "control_plane"]


def _registries(cluster):
    """Where the images of the cluster itself come from."""
    if cluster["distribution"] == "k3s":
        return [] if k3s_install.archived(cluster["shared"], cluster["shared"]["kube_needs"]) else ["docker.io"]
    return ["registry.k8s.io"] + (["docker.io"] if cluster["plugin"] == "kube-router" else [])


def _drift(draft, cluster, state):
    there, wanted = drift.stored(state["live"]), kubeadm_config.cluster_configuration(kubeadm_plan.cluster_of(cluster))
    draft.refuse(drift.fixed(there, wanted) if state["initialised"] else [])
    cluster["drift"] = drift.changed(there, wanted) if state["initialised"] else []


def _networks(draft, shared, cluster):
    services, problems = addresses.networks("kube_service_cidrs", shared["kube_service_cidrs"])
    draft.refuse(problems)
    # A member's routes are the cluster's own, and were looked at before it joined.
    strangers = {
        host: node["info"]["network"]
        for host, node in draft.nodes.items()
        if not (node["info"].get("cluster") or {}).get("kubelet_conf")
    }
    draft.refuse(addresses.collisions(cluster["pod_networks"], services, strangers))
    plugin, options = cluster["plugin"], shared["kube_network"]["options"]
    draft.refuse(network.needs_problems(plugin, shared["kube_needs"]))
    draft.refuse(network.options_problems(plugin, options, cluster["pod_networks"]))
    draft.refuse(network.layer2_problems(plugin, cluster["layer2_networks"]))


def _node(draft, host, node, cluster, joined):
    values, info, place = node["inputs"], node["info"], cluster["endpoint"]
    light, version = cluster["distribution"] == "k3s", versions.parse(cluster["version"])
    refusals, warnings = checks.host(host, info, node["role"], values, version, joined, light)
    draft.refuse(refusals)
    draft.warn(warnings)
    if not joined:
        draft.refuse(checks.ports(host, info, node["role"], cluster["api_port"], place, light))
    if place["mode"] == "vip" and node["role"] == "control_plane" and addresses.is_address(place["address"]):
        here = {"name": node["name"], "address": node["address"]}
        problems = endpoint.keepalived(place, values["kube_api_endpoint"], here, cluster["members"], info["network"])[1]
        draft.refuse("%s: %s" % (host, text) for text in problems)
    if light:
        own = k3s_check.problems(values["k3s_config"], node["role"], cluster["version"])
        own += k3s_install.problems(host, node, cluster["release"])
        own += k3s_selinux.problems(host, node)
        own += k3s_hardening.problems(host, node, cluster["shared"]["k3s_hardened"])
        draft.warn(k3s_check.deprecated(values["k3s_config"], cluster["version"]))
        refusals, warnings = k3s_datastore.reach(host, node, joined)
        draft.refuse(refusals)
        draft.warn(warnings)
    else:
        own = kubeadm_config.problems(values)
    draft.refuse(
        own
        + kubelet_config.problems(values["kubelet_config"])
        + containerd_config.problems(values["kube_registries"], light, light and values["k3s_embedded_registry"])
        + labels.problems(host, values)
    )
