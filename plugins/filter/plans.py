# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters on plans and configurations."""

from __future__ import annotations

import functools

from ansible.errors import AnsibleFilterError
from ansible_collections.kubewright.cluster.plugins.module_utils.detect import hardware
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base import quantity, versions
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs.groups import roles_of
from ansible_collections.kubewright.cluster.plugins.plugin_utils.machine import containerd as containerd_config
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import (
    plan_page as page,
    plan_text as report,
    summary,
)


def cluster_plan(facts, inputs=None, groups=None):
    """The plan of a cluster from facts, inputs and groups."""
    if not isinstance(facts, dict):
        raise AnsibleFilterError("cluster_plan takes a map of node_info results by host, not %r" % type(facts).__name__)
    groups = groups or {"kube_control_plane": sorted(facts)}
    given = inputs or {}
    wanted = {host for role in roles_of(groups) for host in role}
    missing = sorted(wanted - set(facts))
    if missing:
        raise AnsibleFilterError("cluster_plan has no facts of %s" % ", ".join(missing))
    hosts = {host: {"info": facts[host], "inputs": given.get(host, given.get("all", {}))} for host in facts}
    return planner.cluster_plan(hosts, groups)


def credential_files(plan, registries=None, proxy=None):
    """The files with credentials that kube_registries and kube_http_proxy call for."""
    return containerd_config.secret_files(registries or {}, proxy or {}, plan["no_proxy"])


def kubeadm_config(plan, host=None):
    """Return kubeadm's configuration file for a host of a plan."""
    nodes = plan.get("nodes") if isinstance(plan, dict) else None
    if not isinstance(nodes, dict):
        raise AnsibleFilterError("kubeadm_config takes a plan, as cluster_plan and kubewright.cluster.plan give it")
    host = host or plan.get("leader")
    if host not in nodes:
        raise AnsibleFilterError(
            "kubeadm_config: this plan has no host %s. It has %s." % (host, ", ".join(sorted(nodes)))
        )
    made = nodes[host].get("kubeadm") or {}
    text = made.get("init") or made.get("join")
    if not text:
        why = (
            "; ".join(summary.sentences(plan.get("refusals") or [], nodes))
            or "it is a member already, and kubeadm needs no file for it"
        )
        raise AnsibleFilterError("kubeadm_config: there is none for %s: %s" % (host, why))
    return text


def named(name, function):
    """Return the function as a filter whose ValueErrors become Ansible's errors, with the filter's name."""

    @functools.wraps(function)
    def filtered(*arguments, **options):
        try:
            return function(*arguments, **options)
        except ValueError as error:
            raise AnsibleFilterError("%s: %s" % (name, error)) from error

    return filtered


PLAIN = {
    "kube_arch": hardware.released_name,
    "kube_quantity": quantity.convert,
    "kube_version_satisfies": versions.satisfies,
    "kube_upgrade_path": versions.upgrade_path,
}


class FilterModule:
    """Filters of the collection."""

    def filters(self):
        return {
            "cluster_plan": cluster_plan,
            "plan_report": report.text,
            "plan_html": page.html,
            "credential_files": credential_files,
            "kubeadm_config": kubeadm_config,
            **{name: named(name, function) for name, function in PLAIN.items()},
        }
