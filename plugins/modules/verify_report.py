#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: verify_report
short_description: Put the checks of all nodes together
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Takes the verification pods away and reports what M(kubewright.cluster.cluster_verify) and M(kubewright.cluster.node_probe) (registered as
    C(kube_probed)) found on all hosts of the play. Run it once, delegated to the control plane where the proof began.
attributes:
  action:
    support: full
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
  check_mode:
    support: full
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
  diff_mode:
    support: none
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
options:
  begun:
    description: What M(kubewright.cluster.cluster_verify) returned.
    type: dict
    required: true
  plan:
    description: The plan.
    type: dict
    required: true
  json:
    description: File on the controller for the report as JSON.
    type: path
"""

EXAMPLES = r"""
- name: Report
  kubewright.cluster.verify_report:
    begun: "{{ kube_begun.begun }}"
    plan: "{{ kube_planned.plan }}"
  run_once: true
  delegate_to: "{{ kube_planned.plan.leader }}"
"""

RETURN = r"""
healthy:
  description: Whether no check failed.
  type: bool
  returned: always
summary:
  description: The checks in words.
  type: list
  elements: str
  returned: always
failures:
  description: The failed checks in words.
  type: list
  elements: str
  returned: always
report:
  description: The checks as data, as O(json) has them.
  type: dict
  returned: always
"""
