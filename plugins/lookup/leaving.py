# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookup of the hosts that leave a cluster which stays."""

from __future__ import annotations

DOCUMENTATION = r"""
name: leaving
short_description: Hosts that leave a cluster which stays
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Returns which hosts of the play leave a cluster of which other hosts stay, for the role
    R(kubewright.cluster.reset,ansible_collections.kubewright.cluster.reset_role).
  - It is known after M(kubewright.cluster.node_info) ran with O(kubewright.cluster.node_info#module:keep=true) on all
    hosts of the cluster.
  - C(asked) is the healthy control plane that removes the etcd members of C(hosts), or null if there is nothing to
    remove. C(refusals) are sentences that say why nothing may be reset.
options:
  _terms:
    description:
      - With C(partial) it returns only whether the cluster has hosts outside of the play.
      - With C(asked) it returns the healthy control plane that is asked about O(operation), which stays if the
        operation removes nodes, or the host of the task if there is none.
    type: str
    choices: [partial, asked]
  operation:
    description: The playbook, for C(asked). Others than C(remove), C(replace) and C(upgrade) ask nobody.
    type: str
"""

EXAMPLES = r"""
- name: Show who leaves
  ansible.builtin.debug:
    msg: "{{ lookup('kubewright.cluster.leaving').hosts }}"
"""

RETURN = r"""
_raw:
  description: A map with C(asked), C(hosts) and C(refusals), or a boolean.
  type: list
  elements: raw
"""

import ansible.constants as C  # noqa: E402
from ansible.plugins.lookup import LookupBase  # noqa: E402
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base.findings import as_dicts  # noqa: E402
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import host_inputs, run_options  # noqa: E402
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.operations import removal  # noqa: E402
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.run_store import RunStore  # noqa: E402
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs.groups import roles_of  # noqa: E402
from ansible_collections.kubewright.cluster.plugins.plugin_utils.operations import remove  # noqa: E402
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan.leaving import leaving  # noqa: E402
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import summary  # noqa: E402


class LookupModule(LookupBase):
    """Reads the looks of this run; connects to nothing."""

    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        groups, part = variables["groups"], list(variables["ansible_play_hosts_all"])
        known = host_inputs.known_hosts(groups)
        if "partial" in terms:
            return [bool(set(known) - set(part))]
        store = RunStore(C.DEFAULT_LOCAL_TMP)
        looks = {host: store.get("look", host) or {} for host in known}
        if "asked" in terms:
            planes = roles_of(groups)[0]
            name = self.get_option("operation")
            options = run_options.read(name, variables, self._templar.template)[0] if name in removal.NAMES else {}
            targets = remove.resolve(options.get("nodes") or [], looks, planes, {})
            asked = remove.asked(looks, planes, targets) if targets or name == "upgrade" else None
            return [asked or variables["inventory_hostname"]]
        found = leaving(looks, roles_of(groups)[0], part)
        return [
            {
                "asked": found.asked,
                "hosts": found.hosts,
                "refusals": summary.sentences(as_dicts(found.refusals), looks),
            }
        ]
