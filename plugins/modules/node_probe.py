#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_probe
short_description: Prove a cluster from one node
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - From within the node's own pod of the proof - UDP and TCP to the pods of other nodes and whether their addresses stay the same on the way,
    DNS by name, a Service's cluster IP. In a cluster of more than eight nodes the next three are reached, in a ring over all.
  - From the node itself - the API through its endpoint, the API server of a control plane, services, kubelet, containerd, days that the
    certificates have left, and an image's manifest and configuration from each registry mirror.
  - Changes nothing.
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  diff_mode:
    support: none
options:
  node_name:
    description: Name of the node in the cluster.
    type: str
    required: true
  begun:
    description: What M(kubewright.cluster.cluster_verify) returned. Without it only the node itself is looked at.
    type: dict
    default: {}
  certificate_days:
    description: A certificate with fewer days left is warned about.
    type: int
    default: 30
  seconds:
    description: How long a check is tried again before it fails.
    type: int
    default: 15
"""

EXAMPLES = r"""
- name: Probe
  kubewright.cluster.node_probe:
    node_name: w-1
    begun: "{{ verify_begun.begun }}"
  register: verify_probed
"""

RETURN = r"""
checks:
  description: Each with C(name), C(status) (ok, warn, fail), C(text), C(node), C(hint) (the way out) and C(ms).
  type: list
  elements: dict
  returned: always
member:
  description: Whether this machine is, or was, a node of a cluster.
  type: bool
  returned: always
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths
from ansible_collections.kubewright.cluster.plugins.module_utils.verify import node, pod


def main():
    module = AnsibleModule(
        argument_spec={
            "node_name": {"type": "str", "required": True},
            "begun": {"type": "dict", "default": {}},
            "certificate_days": {"type": "int", "default": 30},
            "seconds": {"type": "int", "default": 15},
        },
        supports_check_mode=True,
    )
    own, seconds = module.params["node_name"], module.params["seconds"]
    checks = node.checks(own, time.monotonic() + seconds, module.params["certificate_days"])
    if module.params["begun"].get("elsewhere"):
        checks.append(node.ready(own))
    checks += pod.checks(own, module.params["begun"], time.monotonic() + seconds)
    module.exit_json(changed=False, checks=checks, member=os.path.exists(paths.here().identity))


if __name__ == "__main__":
    main()
