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
  - Takes the pods of the proof away and reports what M(kubewright.cluster.cluster_verify) (registered as C(verify_begun)) and
    M(kubewright.cluster.node_probe) (registered as C(verify_probed)) found on all hosts of the play.
  - Run it once, delegated to the control plane where the proof began. A failed check does not fail it.
extends_documentation_fragment: [kubewright.cluster.attributes.action]
options:
  plan:
    description: The plan.
    type: dict
    required: true
  json:
    description: File on the controller for the report as JSON, for its owner alone. In check mode too.
    type: path
  bundle_dir:
    description: Directory on the controller in which a support bundle would lie. Without it RV(bundle) is none.
    type: path
"""

EXAMPLES = r"""
- name: Report
  kubewright.cluster.verify_report:
    plan: "{{ kube_planned.plan }}"
    json: verify.json
  run_once: true
  delegate_to: "{{ kube_planned.plan.leader }}"
"""

RETURN = r"""
healthy:
  description: Whether no check failed.
  type: bool
  returned: always
report:
  description: The report in words - a table of nodes and checks, the cluster as a whole, warnings and failures.
  type: list
  elements: str
  returned: always
bundle:
  description: Where a support bundle should be written, none for a healthy cluster.
  type: str
  returned: always
"""
