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
  - Takes what M(kubewright.cluster.node_info) found on every host of the groups C(kube_control_plane) and C(kube_node), registered as C(kube_look),
    and every host's inputs, and returns what each node should be and what differs from it.
  - Every problem of every node is in one message, before anything is changed.
  - Runs on the controller; use it with C(run_once).
extends_documentation_fragment: [kubewright.cluster.attributes.action]
options:
  refuse:
    description: Whether a plan that cannot be carried out fails the task.
    type: bool
    default: true
  missing:
    description: Results of M(kubewright.cluster.node_info) for hosts that are not part of the play, with their names as C(item).
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Plan
  kubewright.cluster.plan:
  register: kube_planned
  run_once: true
"""

RETURN = r"""
plan:
  description: The plan. C(docs/plan.md) describes its keys.
  type: dict
  returned: success
"""
