# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the nodes of a cluster share, and whether it can work: the middle part of the plan."""

from __future__ import annotations

from ..base import versions
from ..base.distribution import Distribution
from ..inputs import lifecycle
from ..machine import containerd as containerd_config, kubelet as kubelet_config
from ..network import addresses, endpoint, plugins as network
from . import (
    auto_values as choices,
    checks,
    choose_distribution as decision,
    cluster_objects as labels,
    distributions,
    membership,
)


def describe(draft, shared: dict, state: dict, control_planes: list) -> dict:
    """What all nodes share, as the inventory wants it and the machines allow.

    draft: planner.Draft. shared: the cluster's inputs. state: membership.find().
    """
    decided = _decide(draft, shared, control_planes)
    distribution = distributions.by_name(decided["distribution"])
    _settle(draft, shared, distribution, decided, state, control_planes)
    pods, problems = addresses.networks("kube_pod_cidrs", shared["kube_pod_cidrs"])
    draft.refuse(problems)
    families = [item.version for item in pods]
    _addresses(draft, control_planes, families if distribution.dual_stack and len(set(families)) == 2 else [])
    homes = network.homes(
        [
            {"host": host, "address": node["address"], "network": node["info"]["network"]}
            for host, node in draft.nodes.items()
            if node["address"]
        ]
    )
    chosen = _choose(draft, shared, state, distribution, pods, homes)
    members = sorted(
        ({"name": draft.nodes[host]["name"], "address": draft.nodes[host]["address"]} for host in control_planes),
        key=lambda item: item["name"],
    )
    place, problems = endpoint.choose(
        shared["kube_api_endpoint"],
        shared["kube_api_port"],
        [item["address"] for item in members],
        distribution.balancer_port,
    )
    draft.refuse(problems)
    own_names = ["127.0.0.1", "localhost"] if place["mode"] == "local" else []
    return {
        **decided,
        **chosen,
        "api_version": distribution.config_api(versions.parse(chosen["version"])),
        "name": shared["kube_cluster_name"],
        "domain": shared["kube_cluster_domain"],
        "endpoint": place,
        "api_port": shared["kube_api_port"],
        "members": members,
        "sans": sorted({place["address"], *shared["kube_api_sans"], *own_names}),
        "pod_cidrs": shared["kube_pod_cidrs"],
        "service_cidrs": shared["kube_service_cidrs"],
        "database": distribution.datastore_shown(shared, decided["datastore"]),
        "leader": state["leader"],
        "leader_address": draft.nodes[state["leader"]]["address"] if state["leader"] else None,
        "exists": state["initialised"],
        "secrets_encryption": distribution.encrypts_secrets(draft.nodes, shared, state["initialised"]),
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


def _settle(draft, shared, distribution, decided, state, control_planes):
    """What servers store in already counts for more than the size of the inventory."""
    found = distribution.settle_datastore(
        decided["datastore"], draft.nodes, shared, control_planes, bool(state["live"].get("healthy"))
    )
    decided["datastore"], decided["converts"] = found.name, found.converts
    draft.refuse(found.problems.refusals)
    draft.warn(found.problems.warnings)


def _addresses(draft, control_planes, families):
    """Each node's address; with `families` its addresses of both too, in their order."""
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
    if not wish and not running:
        wish = distribution.installed_version(draft.nodes)
    plugin = choices.running_plugin(draft.nodes) if state["initialised"] else None
    found = {
        "version": choices.version(wish, running, draft.nodes),
        "plugin": choices.plugin(distribution, shared["kube_network"]["plugin"], plugin, needs, pods, homes),
        "proxy_mode": choices.proxy_mode(shared["kube_proxy_mode"], live.get("proxy_mode"), needs, draft.nodes),
    }
    for row in found.values():
        draft.reasons += row[1]
        draft.warn(row[2])
        draft.refuse(row[3])
    chosen = {name: row[0] for name, row in found.items()}
    fields, why = distribution.cluster_fields(draft.nodes, shared, chosen, wish.partition("+")[2] or revision)
    chosen.update(fields)
    draft.reasons += why
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
    distribution = distributions.by_name(cluster["distribution"])
    elsewhere = cluster["datastore"].startswith("external")
    if control_planes:
        refusals, warnings = checks.layout(
            control_planes, workers, state["initialised"], shared["kube_needs"], external=elsewhere
        )
        draft.refuse(refusals)
        draft.warn(warnings)
    refusals, warnings = checks.needs(draft.nodes, shared["kube_needs"], distribution.image_registries(cluster))
    draft.refuse(refusals)
    draft.warn(warnings)
    draft.refuse(checks.names(draft.nodes))
    draft.refuse(checks.clocks(draft.nodes, shared["kube_clock_tolerance"]))
    draft.refuse(checks.at_once(shared["kube_workers_at_once"]))
    outside = distribution.can_reopen(shared, cluster["datastore"])
    draft.refuse(membership.problems(draft.nodes, control_planes, state["leader"], distribution, outside))
    _networks(draft, shared, cluster)
    if state["initialised"]:
        for host in control_planes:
            node = draft.nodes[host]
            draft.refuse(lifecycle.changed_at_birth(host, node["inputs"], node["info"], distribution.name))
    _add(draft, distribution.check_cluster(draft.nodes, shared, cluster, state))
    cluster["drift"] = distribution.drift(cluster, state)
    for host, node in draft.nodes.items():
        _node(draft, distribution, host, node, cluster, state["complete"][host] or membership.has_data(node["info"]))


def _add(draft, problems):
    draft.refuse(problems.refusals)
    draft.warn(problems.warnings)


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


def _node(draft, distribution: Distribution, host, node, cluster, joined):
    values, info, place = node["inputs"], node["info"], cluster["endpoint"]
    _add(draft, distribution.check_machine(host, node, joined))
    refusals, warnings = checks.host(host, info, node["role"], values, versions.parse(cluster["version"]), joined)
    draft.refuse(refusals)
    draft.warn(warnings)
    if not joined:
        held = distribution.ports_held(place)
        draft.refuse(checks.ports(host, info, node["role"], cluster["api_port"], place, held))
    if place["mode"] == "vip" and node["role"] == "control_plane" and addresses.is_address(place["address"]):
        here = {"name": node["name"], "address": node["address"]}
        problems = endpoint.keepalived(place, values["kube_api_endpoint"], here, cluster["members"], info["network"])[1]
        draft.refuse("%s: %s" % (host, text) for text in problems)
    _add(draft, distribution.check_node(host, node, cluster, joined))
    shares_images = distribution.shares_images(values)
    draft.refuse(
        kubelet_config.problems(values["kubelet_config"])
        + containerd_config.problems(values["kube_registries"], distribution.registry_rewrites, shares_images)
        + labels.problems(host, values)
    )
