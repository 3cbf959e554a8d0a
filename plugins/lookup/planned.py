# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookup of what the plan of this run decided."""

from __future__ import annotations

DOCUMENTATION = r"""
name: planned
short_description: What the plan of this run decided
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Returns a part of what M(kubewright.cluster.plan) decided earlier in the same run of C(ansible-playbook).
  - The roles read everything from here. Your hooks (O(kubewright.cluster.kube#role:main:kube_hooks)) and tasks can do
    the same.
options:
  _terms:
    description:
      - C(node) is the part of one host - its name, role, address, steps, files, services.
      - C(cluster) is what all hosts share, for example C(name), C(distribution), C(leader), C(api_port).
      - C(batches) is how many hosts are worked on at once, for a play's C(serial), and C(tasks) what is done on the
        host - a list of C(role) and C(tasks) that is the same for all hosts of a batch.
      - C(objects) is what is applied through the API, C(verify) is what is verified, C(report) the
        lines of the verification, C(kubeconfig) is the file on the controller.
      - C(operation) is the plan of an operation, such as C(backup), C(remove) or C(rotate); C(exists) is true if this
        run has a plan.
    type: str
    required: true
  host:
    description: Inventory name of the host that C(node) is about. The default is the host of the task.
    type: str
"""

EXAMPLES = r"""
- name: Show the address of the node
  ansible.builtin.debug:
    msg: "{{ lookup('kubewright.cluster.planned', 'node').address }}"
"""

RETURN = r"""
_raw:
  description: The part, or a boolean for C(exists).
  type: list
  elements: raw
"""

import ansible.constants as C  # noqa: E402
from ansible.errors import AnsibleError  # noqa: E402
from ansible.plugins.lookup import LookupBase  # noqa: E402
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.run_store import RunStore  # noqa: E402


class LookupModule(LookupBase):
    """Reads the files that the action plugin plan keeps for this run."""

    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        store = RunStore(C.DEFAULT_LOCAL_TMP)
        return [self._part(store, term, variables) for term in terms]

    def _part(self, store, term, variables):
        status = store.get("plan", "status")
        if term == "exists":
            return status is not None
        if term == "batches" and not store.get("plan", "batches"):
            return [1]
        if status is None:
            raise AnsibleError("The cluster is not planned yet. Include the role kubewright.cluster.kube first.")
        if term in (
            "verify",
            "report",
            "kubeconfig",
            "operation",
        ):  # also of a plan with refusals: verify reports them as warnings
            return store.get("plan", term)
        if status["refusals"]:
            raise AnsibleError("The plan has refusals, so nothing is changed: %s" % " ".join(status["refusals"]))
        if term not in ("node", "tasks"):
            return store.get("plan", term)
        host = self.get_option("host") or variables["inventory_hostname"]
        found = store.get("node", host)
        if found is None or found.get("run") != status["run"]:
            raise AnsibleError("%s is in none of the groups kube_control_plane, kube_node, server, agent." % host)
        return store.get("plan", "cluster")["tasks"].get(found["phase"], []) if term == "tasks" else found
