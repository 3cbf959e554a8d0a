#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: plan
short_description: Plan the cluster from facts and inputs
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Plans with the facts that M(kubewright.cluster.node_info) (with O(kubewright.cluster.node_info#module:keep=true))
    gathered on every host of the groups C(kube_control_plane) and C(kube_node) in this run, prints the plan, and keeps
    each host's part of it for the roles.
  - Every problem of every node is printed at once, before anything is changed.
  - Runs on the controller; use it with C(run_once). Roles and hooks read the plan with
    P(kubewright.cluster.planned#lookup).
extends_documentation_fragment: [kubewright.cluster.attributes.action]
options:
  refuse:
    description: Whether a plan with refusals fails the task.
    type: bool
    default: true
  show:
    description: What is printed - the whole plan, only what changes with warnings and refusals, or nothing.
    type: str
    choices: [all, changes, nothing]
    default: changes
  fail:
    description: Whether a plan with refusals fails the task even if O(refuse=false). The playbook C(plan) sets it to
      C(plan_fail).
    type: bool
    default: false
  json:
    description: File on the controller for the plan as JSON, relative to the working directory. Only its owner can read
      it. Written in check mode too.
    type: path
  html:
    description: File on the controller for the plan as an HTML page, as for O(json).
    type: path
  inputs:
    description:
      - File on the controller for an inventory in the inputs of this collection, whatever project's variables the
        inventory has, relative to the working directory. Only its owner can read it. A file that another program made
        is not replaced.
      - Secrets are not written. A variable stands for each, and the head of the file lists them.
    type: path
  operation:
    description:
      - Plans an operation on the running cluster in place of what the playbook C(site) would do. Its options are the
        variables of its playbook.
      - V(remove) and V(replace) ask the cluster first, so the task is delegated to a control plane, the one that
        P(kubewright.cluster.leaving#lookup) returns for C(asked).
    type: str
    choices: [backup, remove, replace, restore]
"""

EXAMPLES = r"""
- name: Plan
  kubewright.cluster.plan:
    show: all
    json: plan.json
  run_once: true
"""

RETURN = r"""
refusals:
  description: Why nothing may be changed, one sentence each.
  type: list
  elements: str
  returned: success
"""
