# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: from what the nodes are and what the inventory wants to what each node should be and what to do.

A pure function of facts and inputs: the same in whatever order the hosts come.
"""

from __future__ import annotations

from dataclasses import replace

from ..base import versions
from ..base.findings import Findings, as_dicts
from ..inputs import lifecycle, schema as inputs_module
from ..machine import capacity, kubelet as kubelet_config
from . import checks, cluster, cluster_objects as labels, distributions, membership, steps as difference, unlisted

GROUPS = {"control_plane": ("kube_control_plane", "server"), "worker": ("kube_node", "agent")}


class Draft(Findings):
    """A plan in the making: its nodes, its reasons and its findings."""

    def __init__(self):
        super().__init__()
        self.nodes, self.reasons = {}, []


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
        else:
            draft.refuse(checks.failed_parts(host, hosts[host]["info"]))
    elsewhere = None if control_planes else _elsewhere(draft)
    for node in draft.nodes.values():
        for distribution in distributions.ALL:
            draft.refuse(distribution.check_joining_elsewhere(node, control_planes))
    if draft.refusals or not (control_planes or elsewhere):
        known = {host: row["info"] for host, row in hosts.items() if row.get("info")}
        refusals, warnings = checks.layout(control_planes, workers, False, [], known)
        draft.refuse([] if elsewhere else refusals)
        return _result(draft, {}, control_planes, workers)
    shared = draft.nodes[(control_planes or workers)[0]]["inputs"]
    if elsewhere:
        shared = elsewhere.inputs_to_join_elsewhere(shared)
    state = membership.find(draft.nodes, control_planes)
    described = cluster.describe(draft, shared, state, control_planes)
    cluster.examine(draft, shared, described, state, control_planes, workers)
    draft.warn(unlisted.nodes(hosts, draft.nodes, state["known"]))
    if draft.refusals:
        known = {name: described[name] for name in ("name", "distribution", "datastore", "alternatives")}
        return {**_result(draft, {}, control_planes, workers), **known}
    for host in control_planes + workers:
        _plan_node(draft, host, described, state)
    return _result(draft, described, control_planes, workers)


def _elsewhere(draft):
    """The distribution of the cluster made elsewhere that nodes of an inventory without control planes join, or None."""
    found = (distributions.joining_elsewhere(node["inputs"]) for node in draft.nodes.values())
    return next((distribution for distribution in found if distribution), None)


def _read_inputs(draft, hosts, control_planes, workers):
    found = {}
    for host in control_planes + workers:
        values, problems = inputs_module.validate(hosts[host].get("inputs") or {})
        for problem in problems:
            found.setdefault(problem, []).append(host)
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
    for problem, where in found.items():
        everywhere = len(where) == len(draft.nodes)
        draft.refuse([problem if everywhere else replace(problem, text="%s: %s" % (", ".join(where), problem.text))])
    _alike(draft)
    for name in lifecycle.names(lifecycle.Scope.SERVERS):
        # Their values may hold secrets.
        unlike = [host for host in control_planes[1:] if draft.nodes[host]["inputs"][name] != draft.nodes[control_planes[0]]["inputs"][name]]
        if unlike:
            draft.refuse(["%s must be the same on all servers, and differs between %s and %s" % (name, control_planes[0], ", ".join(unlike))])


def _alike(draft):
    for name in lifecycle.names(lifecycle.Scope.CLUSTER):
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
        "gpus": sorted(row["vendor"] for row in info.get("gpus") or []),
    }


def _plan_node(draft, host, cluster, state):
    node = draft.nodes[host]
    info, values = node["info"], node["inputs"]
    joined = (
        state["complete"][host] or state["start"] == "wait" and bool((info.get("cluster") or {}).get("kubelet_conf"))
    )
    distribution = distributions.by_name(cluster["distribution"])
    node["taints"] = labels.taints(node, cluster["has_workers"] and distribution.taints_control_planes)
    wanted = distribution.wanted(node, cluster)
    if wanted["packages"] and "air_gap" in values["kube_needs"]:
        text = "%s: kube_needs asks for air_gap, and %s must come from the package sources that the node reaches; or install it before"
        draft.warn([text % (host, ", ".join(wanted["packages"]))])
    steps, services = difference.steps(distribution, wanted, info, joined)
    _credentials(node, distribution, cluster, steps, services, joined)
    if joined and node["role"] == "control_plane" and cluster["drift"]:
        steps["control-plane"] = cluster["drift"]
    node.update(wanted)
    node["capacity"] = capacity.capacity(
        info, kubelet_config.kubelet_config(info, values, versions.parse(cluster["version"]))
    )
    node.update({"steps": steps, "services": services, "joined": joined})
    node["data_dir"] = distribution.data_dir(values)
    if host == cluster["converts"]:
        steps["datastore"] = ["SQLite becomes embedded etcd, with a backup in %s/backups before" % node["data_dir"]]
    # One that is only half joined has its data, and goes on with them.
    fresh = not ((info.get("cluster") or {}).get("kubelet_conf") or membership.has_data(info))
    # A cluster that is started anew on a database that is not empty may know any of them.
    may_know = cluster["datastore"].startswith("external") and state["start"] == "init"
    node["rejoins"] = distribution.remembers_nodes and fresh and (may_know or node["name"] in state["known"])
    node["stages"], node["action"] = _stages(host, node, cluster, state)
    if host == cluster["leader"]:
        node["stages"].append("leader")
    documented = node["action"] == distribution.first_action or host == cluster["leader"] or "control-plane" in steps
    documents = distribution.documents(node, cluster) if documented else None
    if documents:
        node["kubeadm"] = documents


def _credentials(node, distribution, cluster, steps, services, joined):
    """Files with secrets that are not as they should be. They are not in the plan: only that there is something to write."""
    unit, wanted = distribution.unit(node["role"]), distribution.secret_files(node, cluster)
    gone = distribution.obsolete_files(node, wanted)
    if gone or distribution.restarts_for_older_secrets:
        node["obsolete_files"] = gone
    read = [entry["path"] for entry in wanted if not difference.read_at_use(entry["path"])]
    restarting = distribution.secrets_read_at_start(read + gone) if joined else []
    wrong = {**difference.wrong_files(wanted, node["info"]), **dict.fromkeys(gone, "is no longer wanted")}
    if wrong:
        steps["credentials"] = ["%s %s" % item for item in wrong.items()]
    if set(wrong) & set(restarting):
        services.setdefault(unit, "restarted")
    elif restarting and distribution.restarts_for_older_secrets:
        # A run that was killed had written them, and the service runs with the former ones.
        state, why = difference.service_action(unit, wanted, {}, False, node["info"])
        if state == "restarted":
            services.setdefault(unit, state)
            steps.setdefault("credentials", []).append(why)


def _stages(host, node, cluster, state):
    """Which plays a node takes part in, and what is done on it first: init, wait, pull, convert (K3s's datastore) or nothing."""
    distribution, leads = distributions.by_name(cluster["distribution"]), host == cluster["leader"]
    if host == cluster["converts"]:  # before others join
        return ["prepare", "start"], "convert"
    if not node["joined"]:
        stages = ["prepare"] if node["steps"] else []
        if leads and state["start"] == "init":
            # On K3s other nodes may join as soon as the first server answers, so it is waited for later, together with them.
            followed = distribution.joins_during_start and (len(cluster["members"]) > 1 or cluster["has_workers"])
            return stages + ["start"] + (["join"] if followed else []), "init"
        return stages + ["start", "join"], distribution.first_action
    stages = []
    if state["start"] == "wait":
        # The whole cluster stands still: all are started together, not one after another behind the gate.
        stages = ["prepare"] if node["steps"] else []
        return (stages + ["start"], "wait") if leads else (stages, "")
    if node["steps"]:
        alone = node["role"] == "control_plane" or "reboot" in node["steps"]
        change = "change" if alone else "roll"
        stages = ["endpoint"] if set(node["steps"]) <= {"endpoint"} else [change]
    return stages, ""


def _result(draft, cluster, control_planes, workers):
    keep = [
        "name",
        "role",
        "machine",
        "capacity",
        "address",
        "settings",
        "packages",
        "programs",
        "environment",
        "script",
        "files",
        "steps",
        "services",
        "stages",
        "action",
        "joined",
        "kubeadm",
        "taints",
        "data_dir",
        "rejoins",
        "obsolete_files",
    ]
    hidden = ("shared", "pod_networks", "has_workers", "layer2_networks", "converts", "leader_address", "secrets_encryption")
    shown = {key: value for key, value in cluster.items() if key not in hidden}
    shared = cluster.get("shared") or {}
    distribution = distributions.by_name(cluster["distribution"]) if cluster else None
    return {
        "schema": 2,
        "distribution": None,
        "datastore": None,
        "alternatives": [],
        **shown,
        "cluster_domain": shared.get("kube_cluster_domain"),
        "workers_at_once": shared.get("kube_workers_at_once"),
        "bootstrap_ttl": _bootstrap_ttl(draft, distribution, shared),
        "control_planes": control_planes,
        "workers": workers,
        "ports": distribution.ports(cluster) if distribution else [],
        "images": sorted(
            {image for role in ("control_plane", "worker") for image in distribution.images(cluster, role)}
        )
        if cluster
        else [],
        "manifests": distribution.manifests(shared, draft.nodes) + labels.manifests(shared) if distribution else [],
        "addons": distribution.auto_deployed(shared) if distribution else None,
        "reasons": draft.reasons,
        "warnings": as_dicts(draft.warnings),
        "refusals": as_dicts(draft.refusals),
        "nodes": {host: {key: node[key] for key in keep if key in node} for host, node in draft.nodes.items()},
        "objects": labels.objects(draft.nodes, cluster) if cluster else {},
    }


def _bootstrap_ttl(draft, distribution, shared):
    """How long the token lives that this run's agents join with; empty where none joins, or all use the lasting one."""
    if not distribution:
        return ""
    joining = any(
        node["role"] == "worker" and node.get("action") == distribution.first_action for node in draft.nodes.values()
    )
    return distribution.bootstrap_ttl(shared) if joining else ""
