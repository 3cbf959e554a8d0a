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
  - From within the node's own verification pod - HTTP to the pods of other nodes, DNS by name over UDP and TCP, a Service's cluster IP.
  - From the node - the API through its endpoint, certificates' days left, services, and a manifest from each registry mirror.
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
    description: What M(kubewright.cluster.cluster_verify) returned.
    type: dict
    required: true
  cluster_domain:
    description: DNS domain of the cluster.
    type: str
    default: cluster.local
  seconds:
    description: How long a check is tried again before it fails.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Probe
  kubewright.cluster.node_probe:
    node_name: w-1
    begun: "{{ begun }}"
"""

RETURN = r"""
checks:
  description: Each with C(name), C(status) (ok, warn, fail), C(text), C(node).
  type: list
  elements: dict
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils import verify_node


def main():
    module = AnsibleModule(
        argument_spec={
            "node_name": {"type": "str", "required": True},
            "begun": {"type": "dict", "required": True},
            "cluster_domain": {"type": "str", "default": "cluster.local"},
            "seconds": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    checks = verify_node.probe(parameters["node_name"], parameters["begun"], parameters["cluster_domain"], parameters["seconds"])
    module.exit_json(changed=False, checks=checks)


if __name__ == "__main__":
    main()
