# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of other projects' inventories, read as the look reads them and planned as the action plugin does."""

from __future__ import annotations

from types import SimpleNamespace

from ansible_collections.kubewright.cluster.plugins.plugin_utils.base.findings import as_dicts
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import foreign_inventory, host_inputs
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import machine

KUBESPRAY = {"kube_control_plane": ["cp-1"], "kube_node": ["w-1"], "etcd": ["cp-1"], "k8s_cluster": ["cp-1", "w-1"]}
K3S = {"server": ["cp-1"], "agent": ["w-1"], "k3s_cluster": ["cp-1", "w-1"]}
TECHNO_TIM = {"master": ["cp-1"], "node": ["w-1"], "k3s_cluster": ["cp-1", "w-1"]}
BARE = {"k3s_cluster": ["cp-1", "w-1"]}


class Undefined(Exception):
    """What a template raises."""


def template(value, replaced=None):
    """Evaluate only what has no braces, as Ansible would without facts and filters."""
    if isinstance(value, str) and "{{" in value:
        raise Undefined("'nowhere' is undefined" if "ansible_" not in value else "'ansible_facts' is undefined")
    return value


def read(groups, host="cp-1", elsewhere=(), **variables):
    """Return host_inputs.Read of a host. elsewhere: names of variables that other hosts have."""
    hosts = {name: {"ansible_host": "10.0.0.1%d" % number} for number, name in enumerate(everybody(groups), 1)}
    given = {**variables, "hostvars": SimpleNamespace(raw_get=hosts.get)}
    return host_inputs.read(host, given, template, groups, elsewhere)


def everybody(groups):
    """Return all hosts of an inventory."""
    return list(dict.fromkeys(host for hosts in groups.values() for host in hosts))


def rows(groups, own=None, **variables):
    """Return what is kept of each host. own: variables by host."""
    found = {}
    names = [name for given in (own or {}).values() for name in given]
    for number, host in enumerate(everybody(groups), 1):
        got = read(groups, host, names, **variables, **(own or {}).get(host, {}))
        found[host] = {
            "info": machine(host, "10.0.0.1%d" % number),
            "inputs": got.given,
            "problems": got.problems,
            "foreign": got.foreign.as_dict(),
        }
    return found


def planned(groups, own=None, **variables):
    """Return the plan of an inventory, as the action plugin completes it."""
    looks = rows(groups, own, **variables)
    roles = foreign_inventory.assumed(looks, groups)
    foreign_inventory.spread(looks, roles)
    plan = planner.cluster_plan(looks, roles)
    plan["refusals"] = as_dicts(foreign_inventory.findings(looks, groups, None)) + plan["refusals"]
    foreign_inventory.attribute(looks, [*plan["refusals"], *plan["warnings"], *plan["reasons"]])
    plan["inventory"] = foreign_inventory.report(looks, groups)
    return plan


def kinds(groups, host="cp-1", **variables):
    """Return {name: kind} of a host's variables."""
    return {entry["name"]: entry["kind"] for entry in read(groups, host, **variables).foreign.entries}
