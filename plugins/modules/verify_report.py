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
  - Deletes the pods of the verification and prints what M(kubewright.cluster.cluster_verify) and
    M(kubewright.cluster.node_probe) (registered as C(__verify_probed)) found on all hosts of the play.
  - Run it once, delegated to the control plane where the verification began. A failed check fails the task.
  - If none of the hosts is a node of a cluster, the task fails, except in check mode.
extends_documentation_fragment: [kubewright.cluster.attributes.action]
options:
  begun:
    description: Result of M(kubewright.cluster.cluster_verify).
    type: dict
    default: {}
  json:
    description: File on the controller for the report as JSON, relative to the working directory. Only its owner can
      read it. Written in check mode too.
    type: path
  bundle:
    description: Whether a cluster that is not healthy gets a support bundle.
    type: bool
    default: true
  brief:
    description: Print only the number of the checks that passed, not each of them. Warnings and failures are always
      printed.
    type: bool
    default: false
  bundle_dir:
    description: Directory of the support bundle on the controller. The default is the inventory's directory.
    type: path
"""

EXAMPLES = r"""
- name: Report
  kubewright.cluster.verify_report:
    begun: "{{ __verify_begun }}"
    json: verify.json
  run_once: true
  delegate_to: "{{ lookup('kubewright.cluster.planned', 'verify').leader }}"
"""

RETURN = r"""
healthy:
  description: Whether no check failed.
  type: bool
  returned: always
bundle:
  description: Where a support bundle should be written, none for a healthy cluster.
  type: str
  returned: always
"""
