#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_parts
short_description: Write the files of a node's parts and start their services
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Writes the files that the plan of this run has for parts of the node, then starts, restarts or enables their
    services.
  - Files with credentials are written without a trace in the output.
  - Needs a plan, which M(kubewright.cluster.plan) makes earlier in the same run.
extends_documentation_fragment: [kubewright.cluster.attributes.action]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
options:
  parts:
    description: Parts of the node. Their services start in the order given here, not in that of the list.
    type: list
    elements: str
    required: true
    choices: [containerd, network, endpoint, kubelet, k3s, backup]
"""

EXAMPLES = r"""
- name: Configure and start containerd
  kubewright.cluster.node_parts:
    parts: [containerd]
"""

RETURN = r"""
changed_paths:
  description: Files that were written or deleted.
  type: list
  elements: str
  returned: success
services:
  description: Services that were started, restarted or enabled.
  type: list
  elements: str
  sample: [containerd, kubelet]
  returned: success
"""
