# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters on plans and configurations."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError
from ansible_collections.kubewright.cluster.plugins.plugin_utils import containerd_config, planner, report, sources


def cluster_plan(facts, inputs=None, groups=None):
    """The plan of a cluster from facts, inputs and groups."""
    if not isinstance(facts, dict):
        raise AnsibleFilterError("cluster_plan takes a map of node_info results by host, not %r" % type(facts).__name__)
    groups = groups or {"kube_control_plane": sorted(facts)}
    given = inputs or {}
    wanted = {host for role in planner.roles_of(groups) for host in role}
    missing = sorted(wanted - set(facts))
    if missing:
        raise AnsibleFilterError("cluster_plan has no facts of %s" % ", ".join(missing))
    hosts = {host: {"info": facts[host], "inputs": given.get(host, given.get("all", {}))} for host in facts}
    return planner.cluster_plan(hosts, groups)


def credential_files(plan, registries=None, proxy=None):
    """The files with credentials that kube_registries and kube_http_proxy call for."""
    return containerd_config.secret_files(registries or {}, proxy or {}, plan["direct"])


class FilterModule:
    """Filters of the collection."""

    def filters(self):
        return {
            "cluster_plan": cluster_plan,
            "plan_report": report.text,
            "credential_files": credential_files,
            "artifact_paths": sources.paths,
        }
