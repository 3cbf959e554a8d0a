# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: from what the nodes are and what the inventory asks for to what each node should be and what to do.

A pure function of facts and inputs: the result does not depend on the order of the hosts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, get_type_hints

from ..base import versions, words
from ..base.distribution import Cluster, Distribution, Inputs, Node
from ..base.findings import Finding, as_dicts
from ..base.model import Plan, PlanNode
from ..inputs import lifecycle, schema
from ..inputs.groups import members, roles_of
from ..network import cidrs, overlaps
from . import cluster, cluster_objects, distributions, membership, nodes
from .checks import cluster as cluster_checks, every, machine as machine_checks
from .draft import Case, Draft

Hosts = Mapping[str, Mapping[str, Any]]


def cluster_plan(
    hosts: Hosts, groups: Mapping[str, Sequence[str]], leaving: Collection[str] = (), any_version: bool = False
) -> dict[str, Any]:
    """Return the plan of one cluster. With `refusals` in it nothing may be carried out. Its shape: base.model.Plan.

    hosts: by inventory name {info: node_info's "node" or None, error: why there is none, inputs: its variables that are
    inputs}.
    groups: by group name the hosts in it.
    leaving: names of nodes that this run removes; their hosts are not in `hosts`.
    any_version: another version than the running cluster's is not refused, because the run upgrades it. Nodes can be
    removed at any version.
    """
    draft = Draft(any_version or bool(leaving), any_version)
    control_planes, workers = roles_of(groups)
    _read_inputs(draft, hosts, control_planes, workers, members(groups)[1])
    all_nodes = draft.nodes
    _read_facts(draft, hosts, control_planes + workers if control_planes else sorted(hosts))
    elsewhere = None if control_planes else _elsewhere(draft)
    for node in draft.nodes.values():
        for distribution in distributions.ALL:
            draft.refuse(distribution.check_joining_elsewhere(node, control_planes))
    if not (control_planes or elsewhere):
        draft.refuse(
            [cluster_checks.no_control_plane({host: row["info"] for host, row in hosts.items() if row.get("info")})]
        )
        if all_nodes:
            _check_inputs_only(draft, all_nodes[workers[0]]["inputs"])
        return _result(draft, all_nodes, {}, control_planes, workers)
    if not draft.nodes:
        _check_inputs_only(draft, all_nodes[(control_planes or workers)[0]]["inputs"])
    described, state = _describe(draft, control_planes, workers, elsewhere, len(draft.nodes) == len(all_nodes))
    if described and not draft.refusals:
        draft.warn(membership.not_in_inventory(hosts, draft.nodes, state["known"] - set(leaving)))
        for host in control_planes + workers:
            nodes.plan(draft, host, described, state)
        draft.add(membership.silent_members(draft.nodes, control_planes, state))
        return _result(draft, all_nodes, described, control_planes, workers)
    known = ("name", "distribution", "datastore", "alternatives")
    result = _result(draft, all_nodes, {}, control_planes, workers)
    result.update((name, described[name]) for name in known if name in described)
    return result


def _check_inputs_only(draft: Draft, shared: Inputs) -> None:
    """Say what is wrong with the cluster's inputs where the facts of no node are known."""
    if shared["kube_version"]:
        draft.add(versions.choose(shared["kube_version"])[1])
    pods, problems = cidrs.read("kube_pod_cidrs", shared["kube_pod_cidrs"])
    services, more = cidrs.read("kube_service_cidrs", shared["kube_service_cidrs"])
    draft.refuse(problems + more + cidrs.families(pods, services) + cidrs.service_sizes(services))
    draft.add(overlaps.check(pods, services, {}, []))


def _describe(
    draft: Draft, control_planes: list[str], workers: list[str], elsewhere: Distribution | None, complete: bool
) -> tuple[Cluster, dict[str, Any]]:
    """Return the cluster and its state, and examine it.

    With the facts of some nodes missing it is examined as far as they are known.
    """
    known = [host for host in control_planes if host in draft.nodes]
    if not draft.nodes:
        return {}, {}
    shared = draft.nodes[(known or list(draft.nodes))[0]]["inputs"]
    if elsewhere:
        shared = elsewhere.inputs_to_join_elsewhere(shared)
    state = membership.find(draft.nodes, known)
    described = cluster.describe(draft, shared, state, known, complete)
    distribution = distributions.by_name(described["distribution"])
    joined = {host: state["complete"][host] or membership.has_data(node["info"]) for host, node in draft.nodes.items()}
    case = Case(draft.nodes, control_planes, workers, shared, described, state, distribution, complete, joined)
    every.examine(draft, case)
    if complete:
        described["drift"] = distribution.drift(described, state)
    return described, state


def _elsewhere(draft: Draft) -> Distribution | None:
    """Return the distribution of the cluster made elsewhere that all nodes join; None if there are control planes."""
    found = (distributions.joining_elsewhere(node["inputs"]) for node in draft.nodes.values())
    return next((distribution for distribution in found if distribution), None)


def _read_inputs(
    draft: Draft, hosts: Hosts, control_planes: Sequence[str], workers: Sequence[str], take_work: Sequence[str]
) -> None:
    """Put a node for each host into the draft, with its validated inputs and its facts.

    take_work: hosts in the workers' group, control planes among them.
    """
    found: dict[Finding, list[str]] = {}
    for host in [*control_planes, *workers]:
        values, problems = schema.validate(hosts[host].get("inputs") or {})
        for problem in problems:
            found.setdefault(problem, []).append(host)
        info = hosts[host].get("info") or {}
        draft.nodes[host] = {
            "host": host,
            "name": values["kube_node_name"] or str(info.get("hostname") or host).partition(".")[0].lower(),
            "role": "control_plane" if host in control_planes else "worker",
            "takes_work": host in take_work,
            "info": info,
            "inputs": values,
        }
        if info:
            draft.nodes[host]["machine"] = nodes.machine(info)
    for problem, where in found.items():
        everywhere = len(where) == len(draft.nodes)
        draft.refuse([problem if everywhere else replace(problem, text="%s: %s" % (words.names(where), problem.text))])
    draft.refuse(_different(draft, lifecycle.names(lifecycle.Scope.CLUSTER), list(draft.nodes), "the whole cluster"))
    draft.refuse(_different(draft, lifecycle.names(lifecycle.Scope.SERVERS), control_planes, "all servers"))


def _different(draft: Draft, names: Sequence[str], hosts: Sequence[str], what: str) -> list[Finding]:
    """Refuse inputs that must be the same on these hosts and differ."""
    found = []
    for name in names:
        values: dict[str, list[str]] = {}
        for host in hosts:
            values.setdefault(repr(draft.nodes[host]["inputs"][name]), []).append(host)
        if len(values) > 1:
            shown = "; ".join(
                "%s on %s" % (schema.shown_repr(name, value), words.names(where))
                for value, where in sorted(values.items())
            )
            text = "%s must be the same for %s, and differs: %s. Set it in a group that has them all."
            found.append(Finding("inputs.differ", text % (name, what, shown), value=name))
    return found


def _read_facts(draft: Draft, hosts: Hosts, wanted: Sequence[str]) -> None:
    """Refuse hosts whose facts are missing, and leave only the others in the draft."""
    for host in wanted:
        info = hosts[host].get("info")
        if info:
            draft.refuse(machine_checks.failed_parts(host, info))
        else:
            draft.refuse(
                [Finding("look.failed", "%s: %s" % (host, hosts[host].get("error") or "was not looked at"), host)]
            )
    draft.nodes = {
        host: node
        for host, node in draft.nodes.items()
        if node["info"] and not machine_checks.failed_parts(host, node["info"])
    }


# Fields of nodes and clusters that the plan shows: those of the model.
_NODE_FIELDS = tuple(get_type_hints(PlanNode))
_CLUSTER_FIELDS = tuple(get_type_hints(Plan))


def _result(
    draft: Draft, all_nodes: Mapping[str, Node], described: Cluster, control_planes: list[str], workers: list[str]
) -> dict[str, Any]:
    shared: Inputs = described.get("shared") or {}
    distribution = distributions.by_name(described["distribution"]) if described else None
    return {
        "schema": 2,
        "distribution": None,
        "datastore": None,
        "alternatives": [],
        **{name: described[name] for name in _CLUSTER_FIELDS if name in described},
        "cluster_domain": shared.get("kube_cluster_domain"),
        "workers_at_once": shared.get("kube_workers_at_once"),
        "bootstrap_ttl": _bootstrap_ttl(draft, distribution, shared),
        "control_planes": control_planes,
        "workers": workers,
        **_for_the_cluster(draft, described, distribution, shared),
        "reasons": draft.reasons,
        "warnings": as_dicts(draft.warnings),
        "refusals": as_dicts(draft.refusals),
        # The controller knows these, not the planner.
        "inventory": None,
        "operation": None,
        "manifest_changes": [],
        "cluster_changes": [],
        "apply_objects": None,
        "kubeconfig": None,
        "nodes": {host: _shown(node) for host, node in all_nodes.items()},
    }


def _for_the_cluster(
    draft: Draft, described: Cluster, distribution: Distribution | None, shared: Inputs
) -> dict[str, Any]:
    """Return what is applied in the cluster and what it needs; empty where the plan was refused."""
    if distribution is None:
        return {"ports": [], "images": [], "manifests": [], "addons": None, "objects": {}}
    roles = ("control_plane", "worker")
    return {
        "ports": distribution.ports(described),
        "images": sorted({image for role in roles for image in distribution.images(described, role)}),
        "manifests": distribution.manifests(shared, draft.nodes) + cluster_objects.manifests(shared, described),
        "addons": distribution.auto_deployed(shared, draft.nodes),
        "objects": cluster_objects.objects(draft.nodes, described),
    }


def _shown(node: Node) -> dict[str, Any]:
    made = {name: node[name] for name in _NODE_FIELDS if name in node}
    if "addresses" in made:
        made["addresses"] = [asdict(address) for address in made["addresses"]]
    return made


def _bootstrap_ttl(draft: Draft, distribution: Distribution | None, shared: Inputs) -> str:
    """Return the lifetime of this run's agent token; empty if no agent joins, or if all use the permanent one."""
    if not distribution:
        return ""
    joining = any(
        node["role"] == "worker" and node.get("action") == distribution.first_action for node in draft.nodes.values()
    )
    return distribution.bootstrap_ttl(shared) if joining else ""
