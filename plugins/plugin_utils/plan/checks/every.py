# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All checks of a plan, in the order in which their findings are shown.

A check takes the case and returns problems; one of a node takes the host and its node too. To add a check, add it to a
list.
"""

from __future__ import annotations

from ...base.distribution import Node, Problems
from ...inputs import lifecycle
from .. import membership
from ..draft import Case, Draft
from . import backups, certificates, changes, cluster, identity, inputs, machine, occupants, storage


def members(case: Case) -> Problems:
    """Refuse hosts of other clusters, and changes of what is fixed for the life of the running one."""
    outside = case.distribution.can_reopen(case.shared, case.cluster["datastore"])
    found = membership.refusals(case.nodes, case.control_planes, case.state["leader"], case.distribution, outside)
    live = case.state["live"]
    found += identity.several_clusters(case.nodes, case.control_planes)
    found += identity.lost_data(case.nodes, case.control_planes, case.state, case.distribution)
    found += identity.renamed(case.nodes, live) + identity.copied(case.nodes, live)
    found += identity.name_taken(case.nodes, live, case.distribution)
    found += identity.address_taken(case.nodes, case.control_planes, live)
    found += changes.promoted(case)
    if case.state["initialised"]:
        for host in case.control_planes:
            node = case.nodes[host]
            found += lifecycle.changed_at_birth(host, node["inputs"], node["info"], case.distribution.name)
    return Problems(found, [])


def distribution(case: Case) -> Problems:
    """Ask the distribution about the inputs of the cluster."""
    return case.distribution.check_cluster(dict(case.nodes), case.shared, case.cluster, case.state)


def distribution_machine(case: Case, host: str, node: Node) -> Problems:
    """Ask the distribution about a machine."""
    return case.distribution.check_machine(host, node, case.joined[host])


def distribution_node(case: Case, host: str, node: Node) -> Problems:
    """Ask the distribution about the inputs of a node, and what its machine has of the distribution already."""
    return case.distribution.check_node(host, node, case.cluster, case.joined[host])


OF_THE_CLUSTER = (
    cluster.size,
    cluster.needs,
    cluster.names,
    cluster.clocks,
    cluster.networks,
    cluster.network_plugin,
    inputs.without_effect,
    inputs.manifests,
    inputs.public_networks,
    inputs.ports,
    inputs.virtual_address,
    certificates.validity,
    backups.scheduled,
)
# They compare nodes with each other and with the running cluster: with the facts of some missing they would say what is
# not so.
OF_ALL_NODES = (members, distribution)
OF_A_NODE = (
    distribution_machine,
    occupants.runtimes,
    occupants.data,
    occupants.cni_files,
    occupants.addresses_of_services,
    machine.cgroup,
    machine.kernel,
    machine.disks,
    storage.file_systems,
    machine.system,
    machine.packages,
    machine.selinux,
    machine.firewall,
    machine.ports,
    machine.virtual_address,
    distribution_node,
    machine.maps,
    inputs.reserved,
    inputs.pods,
    inputs.kubelet_limits,
    inputs.feature_gates,
    backups.timers,
)


def examine(draft: Draft, case: Case) -> None:
    """Add what the checks find to the draft."""
    for check in OF_THE_CLUSTER + (OF_ALL_NODES if case.complete else ()):
        draft.add(check(case))
    for host, node in case.nodes.items():
        for check_node in OF_A_NODE:
            draft.add(check_node(case, host, node))
