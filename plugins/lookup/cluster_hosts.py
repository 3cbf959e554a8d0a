# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookup for the hosts of a play: the cluster's hosts, or those that the plan gives something to do."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cluster_hosts
short_description: Hosts of the cluster, for a play's hosts
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Without stages it returns the groups with a role that the inventory has. It fails with a message if there is no
    host or no such group.
  - With stages it returns the hosts that the plan of this run gives something to do in one of them. Hosts of earlier
    stages come first.
options:
  _terms:
    description: Stages of the plan - C(prepare), C(endpoint), C(backup), C(start), C(join), C(change), C(roll),
      C(leader); with remove also C(evict), C(leave), C(asked), C(redirect), C(remove), C(stay), with restore C(undo),
      C(receive), C(stop), C(restore), with rotate C(expired), C(renew), C(workers), C(asked), C(stay), with upgrade
      C(upgrade), C(planes), C(workers), C(leader).
    type: list
    elements: str
    choices: [prepare, endpoint, backup, start, join, change, roll, leader, evict, leave, asked, redirect, remove, stay,
      undo, receive, stop, restore, expired, renew, workers, upgrade, planes]
  propose:
    description: If no host has a role, return all hosts, so that the plan can propose roles.
    type: bool
    default: false
  local:
    description: Return localhost, for playbooks that manage this machine.
    type: bool
    default: false
  left_out:
    description: >-
      Return the hosts of the cluster that are not in this play, for example because of C(--limit). They are dealt out
      to the hosts of the play; each host gets its share.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show the nodes that join in this run
  hosts: "{{ query('kubewright.cluster.cluster_hosts', 'join') }}"
  gather_facts: false
  tasks:
    - name: Show its name
      ansible.builtin.debug:
        msg: "{{ lookup('kubewright.cluster.planned', 'node').name }}"
"""

RETURN = r"""
_raw:
  description: A pattern of hosts or groups.
  type: list
  elements: str
"""

import importlib  # noqa: E402

import ansible.constants as C  # noqa: E402
from ansible import context  # noqa: E402
from ansible.errors import AnsibleError  # noqa: E402
from ansible.plugins.lookup import LookupBase  # noqa: E402
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import host_inputs  # noqa: E402
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.run_store import RunStore  # noqa: E402
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema  # noqa: E402
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs.groups import group_names, misspelt  # noqa: E402

LOOK = "ansible_collections.kubewright.cluster.plugins.action.node_info"
NOBODY = ["!all"]


def _left_out(groups, playing, part, variables):
    """Return this host's share of the hosts that somebody has to look at."""
    if len(part) == len(groups["all"]):
        return []  # at once, because every host asks
    missing = sorted(set(host_inputs.known_hosts(groups)).difference(part))
    if not missing:
        return []
    return missing[playing.index(variables["inventory_hostname"]) :: len(playing)]


class LookupModule(LookupBase):
    """Runs while Ansible reads a play's hosts, so the groups need no task that makes them."""

    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        if terms:
            stages = RunStore(C.DEFAULT_LOCAL_TMP).get("plan", "stages") or {}
            return list(dict.fromkeys(host for stage in terms for host in stages.get(stage) or ())) or NOBODY
        groups = variables["groups"]
        operation = RunStore(C.DEFAULT_LOCAL_TMP).get("plan", "operation") or {}
        if operation.get("goes_on") is False:
            return NOBODY  # the playbook ends here, for example because it only shows what it would do
        # Ansible's workers inherit what is loaded here; otherwise each of them would load it again.
        importlib.import_module(LOOK)
        schema.specification()
        if self.get_option("left_out"):
            return _left_out(
                groups, list(variables["ansible_play_hosts"]), list(variables["ansible_play_hosts_all"]), variables
            )
        if context.CLIARGS.get("syntax") or context.CLIARGS.get("listtasks") or context.CLIARGS.get("listtags"):
            return ["all"]  # these need no inventory
        wrong = [finding.text for finding in schema.unknown(variables)]
        if wrong:
            raise AnsibleError(" ".join(wrong))
        if self.get_option("local"):
            return ["localhost"]
        if not groups.get("all"):
            raise AnsibleError(
                "The inventory has no hosts. Give one with -i; its groups are kube_control_plane and kube_node."
            )
        named = group_names(groups)
        if not named and not self.get_option("propose"):
            text = (
                "No host of the inventory is in a group with a role. Put the control planes in "
                "kube_control_plane, the workers in kube_node."
            )
            raise AnsibleError(" ".join([text, *(finding.text for finding in misspelt(groups))]))
        return named or ["all"]
