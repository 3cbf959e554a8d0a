# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: from what the nodes are and what the inventory wants to what each node should be and what to do.

A pure function of facts and inputs: the same in whatever order the hosts come.
"""

from __future__ import annotations

from . import (
    addresses,
    checks,
    containerd_config,
    decision,
    desired,
    difference,
    drift,
    endpoint,
    kubeadm_config,
    kubeadm_plan,
    kubelet_config,
    labels,
    membership,
    network,
    versions,
)
from . import inputs as inputs_module

# Inputs that describe the cluster, and so must be the same on every host.
CLUSTER_INPUTS = (
    "kube_distribution kube_version kube_needs kube_cluster_name kube_cluster_domain kube_api_endpoint "
    "kube_api_port kube_api_sans kube_pod_cidrs kube_service_cidrs kube_network kube_proxy_mode "
    "kube_manifests kube_kubeconfig kube_clock_tolerance kubeadm_cluster_config kubeadm_proxy_config"
).split()
GROUPS = {"control_plane": ("kube_control_plane", "server"), "worker": ("kube_node", "agent")}


class Draft:
    """A plan in the making: its nodes, and what was found on the way."""

    def __init__(self):
        self.nodes, self.reasons, self.warnings, self.refusals = {}, [], [], []

    def refuse(self, sentences):
        self.refusals += [text for text in sentences if text not in self.refusals]

    def warn(self, sentences):
        self.warnings += [text for text in sentences if text not in self.warnings]


def roles_of(groups: dict) -> tuple:
    """(control planes, workers) by the groups' names; a host in both is a control plane that takes work."""
    named = {
        role: sorted({host for name in names for host in groups.get(name) or []}) for role, names in GROUPS.items()
    }
    return named["control_plane"], [host for host in named["worker"] if host not in named["control_plane"]]


def cluster_plan(hosts: dict, groups: dict) -> dict:
    """The plan of one cluster.

    hosts: by inventory name {info: node_info's "node" or None, error: why there is none, inputs: its variables that are inputs}.
    groups: by group name the hosts in it.
    Returns the plan; with `refusals` in it nothing may be carried out. See docs/plan.md for its shape.
    """
    draft = Draft()
    control_planes, workers = roles_of(groups)
    _read_inputs(draft, hosts, control_planes, workers)
    for host in control_planes + workers if control_planes else sorted(hosts):
        if not hosts[host].get("info"):
            draft.refuse(["%s: %s" % (host, hosts[host].get("error") or "was not looked at")])
    if draft.refusals or not control_planes:
        known = {host: row["info"] for host, row in hosts.items() if row.get("info")}
        refusals, warnings = checks.layout(control_planes, workers, False, [], known)
        draft.refuse(refusals)
        return _result(draft, {}, control_planes, workers)
    shared = draft.nodes[control_planes[0]]["inputs"]
    state = membership.find(draft.nodes, control_planes)
    cluster = _cluster(draft, shared, state, control_planes)
    _check(draft, shared, cluster, state, control_planes, workers)
    if draft.refusals:
        known = {name: cluster[name] for name in ("name", "distribution", "datastore", "alternatives")}
        return {**_result(draft, {}, control_planes, workers), **known}
    for host in control_planes + workers:
        _plan_node(draft, host, cluster, state)
    return _result(draft, cluster, control_planes, workers)


def _read_inputs(draft, hosts, control_planes, workers):
    by_text = {}
    for host in control_planes + workers:
        values, problems = inputs_module.validate(hosts[host].get("inputs") or {})
        for problem in problems:
            by_text.setdefault(problem, []).append(host)
        info = hosts[host].get("info") or {}
        name = values["kube_node_name"] or str(info.get("hostname") or host).partition(".")[0].lower()
        draft.nodes[host] = {
            "host": host,
            "name": name,
            "role": "control_plane" if host in control_planes else "worker",
            "info": info,
            "inputs": values,
        }
        if info:
            draft.nodes[host]["machine"] = _machine(info)
    draft.refuse(
        text if len(where) == len(draft.nodes) else "%s: %s" % (", ".join(where), text)
        for text, where in by_text.items()
    )
    for name in CLUSTER_INPUTS:
        values = {}
        for host, node in draft.nodes.items():
            values.setdefault(repr(node["inputs"][name]), []).append(host)
        if len(values) > 1:
            draft.refuse(
                [
                    "%s describes the whole cluster and differs: %s"
                    % (
                        name,
                        "; ".join("%s on %s" % (value, ", ".join(where)) for value, where in sorted(values.items())),
                    )
                ]
            )


def _machine(info):
    """What a reader of the plan wants to know of the machine."""
    system = info.get("os") or {}
    return {
        "architecture": info["architecture"]["name"],
        "cpus": info["cpus"]["count"],
        "memory_bytes": info["memory"]["usable_bytes"],
        "os": " ".join(filter(None, [system.get("id"), system.get("version_id")])) or "unknown system",
        "board": (info.get("board") or {}).get("model"),
    }


def _cluster(draft, shared, state, control_planes):
    """What all nodes share."""
    running = state["live"].get("version") or ""
    version, warnings, refusals = versions.choose(shared["kube_version"], running)
    draft.warn(warnings)
    draft.refuse(refusals)
    if running and version != running.lstrip("v"):
        draft.refuse(
            [
                "kube_version %s differs from the running cluster's %s; site does not upgrade a running cluster: set kube_version to %s or leave it out"
                % (version, running, running.lstrip("v"))
            ]
        )
    for host in control_planes + [host for host in draft.nodes if host not in control_planes]:
        node = draft.nodes[host]
        node["address"], problem = addresses.node_address(node["inputs"]["kube_node_ip"], node["info"]["network"])
        if problem:
            draft.refuse(["%s: %s" % (host, problem)])
    members = sorted(
        ({"name": draft.nodes[host]["name"], "address": draft.nodes[host]["address"]} for host in control_planes),
        key=lambda item: item["name"],
    )
    chosen, problems = endpoint.choose(
        shared["kube_api_endpoint"], shared["kube_api_port"], [item["address"] for item in members]
    )
    draft.refuse(problems)
    sans = sorted(
        {
            chosen["address"],
            *shared["kube_api_sans"],
            *(["127.0.0.1", "localhost"] if chosen["mode"] == "local" else []),
        }
    )
    return {
        "version": version,
        "api_version": kubeadm_config.api_version(versions.parse(version)),
        "name": shared["kube_cluster_name"],
        "domain": shared["kube_cluster_domain"],
        "endpoint": chosen,
        "api_port": shared["kube_api_port"],
        "members": members,
        "sans": sans,
        "pod_cidrs": shared["kube_pod_cidrs"],
        "service_cidrs": shared["kube_service_cidrs"],
        "proxy_mode": shared["kube_proxy_mode"],
        "plugin": shared["kube_network"]["plugin"],
        "leader": state["leader"],
        "exists": state["initialised"],
        # Nothing on a node depends on the list of all nodes: networks, not addresses.
        "direct": [
            *shared["kube_pod_cidrs"],
            *shared["kube_service_cidrs"],
            *_node_networks(draft),
            "." + shared["kube_cluster_domain"],
            ".svc",
            chosen["address"],
        ],
        "has_workers": len(draft.nodes) > len(control_planes),
        "shared": shared,
    }


def _node_networks(draft):
    """The networks that hold the nodes' addresses."""
    found = {
        addresses.interface_of(node["address"], node["info"]["network"])[1]
        for node in draft.nodes.values()
        if node["address"]
    }
    return sorted(network for network in found if network)


def _check(draft, shared, cluster, state, control_planes, workers):
    refusals, warnings = checks.layout(control_planes, workers, state["initialised"], shared["kube_needs"])
    draft.refuse(refusals)
    draft.warn(warnings)
    draft.refuse(checks.names(draft.nodes))
    draft.refuse(checks.clocks(draft.nodes, shared["kube_clock_tolerance"]))
    draft.refuse(membership.problems(draft.nodes, control_planes, state["leader"]))
    pods, problems = addresses.networks("kube_pod_cidrs", shared["kube_pod_cidrs"])
    draft.refuse(problems)
    services, problems = addresses.networks("kube_service_cidrs", shared["kube_service_cidrs"])
    draft.refuse(problems)
    # A member's routes are the cluster's own, and were looked at before it joined.
    strangers = {
        host: node["info"]["network"]
        for host, node in draft.nodes.items()
        if not (node["info"].get("cluster") or {}).get("kubelet_conf")
    }
    draft.refuse(addresses.collisions(pods, services, strangers))
    draft.refuse(network.needs_problems(cluster["plugin"], shared["kube_needs"]))
    draft.refuse(network.options_problems(cluster["plugin"], shared["kube_network"]["options"], pods))
    placed = [
        {"host": host, "address": node["address"], "network": node["info"]["network"]}
        for host, node in draft.nodes.items()
        if node["address"]
    ]
    draft.refuse(network.layer2_problems(cluster["plugin"], placed))
    cluster["pod_networks"] = pods
    there, wanted = drift.stored(state["live"]), kubeadm_config.cluster_configuration(kubeadm_plan.cluster_of(cluster))
    draft.refuse(drift.fixed(there, wanted) if state["initialised"] else [])
    cluster["drift"] = drift.changed(there, wanted) if state["initialised"] else []
    cluster.update(_decide(draft, shared, control_planes))
    version = versions.parse(cluster["version"])
    for host, node in draft.nodes.items():
        joined = state["complete"][host] or membership.has_data(node["info"])
        refusals, warnings = checks.host(host, node["info"], node["role"], node["inputs"], version, joined)
        draft.refuse(refusals)
        draft.warn(warnings)
        if not joined:
            draft.refuse(checks.ports(host, node["info"], node["role"], cluster["api_port"], cluster["endpoint"]))
        if (
            cluster["endpoint"]["mode"] == "vip"
            and node["role"] == "control_plane"
            and addresses.is_address(cluster["endpoint"]["address"])
        ):
            here = {"name": node["name"], "address": node["address"]}
            problems = endpoint.keepalived(
                cluster["endpoint"], shared["kube_api_endpoint"], here, cluster["members"], node["info"]["network"]
            )[1]
            draft.refuse("%s: %s" % (host, text) for text in problems)
        own = (
            kubelet_config.problems(node["inputs"]["kubelet_config"])
            + kubeadm_config.problems(node["inputs"])
            + containerd_config.problems(node["inputs"]["kube_registries"])
        )
        draft.refuse(own + labels.problems(host, node["inputs"]))


def _decide(draft, shared, control_planes):
    """The distribution with its datastore; what speaks for and against it goes into the draft."""
    found = decision.decide(draft.nodes, shared, control_planes)
    draft.reasons += found["reasons"]
    draft.warn(found["warnings"])
    draft.refuse(found["refusals"])
    if found["distribution"] == "k3s":
        draft.refuse([decision.not_yet(found, shared)])
    return {name: found[name] for name in ("distribution", "datastore", "alternatives")}


def _plan_node(draft, host, cluster, state):
    node = draft.nodes[host]
    info, values = node["info"], node["inputs"]
    joined = (
        state["complete"][host] or state["start"] == "wait" and bool((info.get("cluster") or {}).get("kubelet_conf"))
    )
    components = versions.components(values["kube_artifacts"]["versions"])
    files = desired.files(node, cluster)
    wanted = {
        "settings": desired.settings(info, values, cluster["pod_networks"]),
        "packages": desired.packages(info, node["role"], cluster["endpoint"]["mode"], values),
        "programs": desired.programs(
            cluster["version"], components, info["architecture"]["name"], values["kube_artifacts"]["checksums"]
        ),
        "files": files,
    }
    steps, services = difference.steps(wanted, info, joined)
    secret = difference.wrong_files(
        containerd_config.secret_files(values["kube_registries"], values["kube_http_proxy"], cluster["direct"]), info
    )
    if secret:
        steps["credentials"] = ["%s %s" % item for item in secret.items()]
        if containerd_config.ENVIRONMENT in secret and "containerd" not in services:
            services["containerd"] = "restarted"
    if joined and node["role"] == "control_plane" and cluster["drift"]:
        steps["control-plane"] = cluster["drift"]
    node.update(wanted)
    node.update({"steps": steps, "services": services, "joined": joined})
    node["taints"] = labels.taints(node, cluster["has_workers"])
    node["stages"], node["member"] = _stages(host, node, cluster, state)
    if host == cluster["leader"]:
        node["stages"].append("leader")
    if node["member"] == "pull" or host == cluster["leader"] or "control-plane" in steps:
        node["kubeadm"] = kubeadm_plan.documents(node, cluster)


def _stages(host, node, cluster, state):
    """Which plays a node takes part in, and what kubeadm does on it first: init, wait, pull or nothing."""
    leads = host == cluster["leader"]
    if not node["joined"]:
        stages = ["prepare"] if node["steps"] else []
        if leads and state["start"] == "init":
            return stages + ["start"], "init"
        return stages + ["start", "join"], "pull"
    stages = []
    if state["start"] == "wait":
        # The whole cluster stands still: all are started together, not one after another behind the gate.
        stages = ["prepare"] if node["steps"] else []
        return (stages + ["start"], "wait") if leads else (stages, "")
    if node["steps"]:
        stages = ["endpoint"] if set(node["steps"]) <= {"endpoint"} else ["change"]
    return stages, ""


def _result(draft, cluster, control_planes, workers):
    keep = [
        "name",
        "role",
        "machine",
        "address",
        "settings",
        "packages",
        "programs",
        "files",
        "steps",
        "services",
        "stages",
        "member",
        "joined",
        "kubeadm",
        "taints",
    ]
    shown = {key: value for key, value in cluster.items() if key not in ("shared", "pod_networks", "has_workers")}
    shared = cluster.get("shared") or {}
    return {
        "schema": 1,
        "distribution": None,
        "datastore": None,
        "alternatives": [],
        **shown,
        "cluster_domain": shared.get("kube_cluster_domain"),
        "control_planes": control_planes,
        "workers": workers,
        "ports": kubeadm_plan.ports(cluster) if cluster else [],
        "images": sorted(
            {image for role in ("control_plane", "worker") for image in kubeadm_plan.images(cluster, role)}
        )
        if cluster
        else [],
        "manifests": labels.manifests(shared) if cluster else [],
        "reasons": draft.reasons,
        "warnings": draft.warnings,
        "refusals": draft.refusals,
        "nodes": {host: {key: node[key] for key in keep if key in node} for host, node in draft.nodes.items()},
        "objects": labels.objects(draft.nodes, cluster) if cluster else {},
    }
