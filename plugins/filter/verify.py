# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter of the role verify."""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import verify as verify_report


def verify_scope(plan, hostvars, check_mode=False):
    """Return which nodes are verified and which control plane is asked."""
    looks = {}
    for host in plan["nodes"]:
        look = hostvars[host].get("kube_look") if host in hostvars else None
        if isinstance(look, Mapping) and isinstance(look.get("node"), Mapping):
            looks[host] = look["node"]
    return verify_report.scope(plan, looks, check_mode)


class FilterModule:
    """Filters of the collection."""

    def filters(self):
        return {"verify_scope": verify_scope}
