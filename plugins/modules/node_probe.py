#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_probe
short_description: Verify a cluster from one node
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Run it on every node, as root, after M(kubewright.cluster.cluster_verify) has started a pod there.
  - Checks from the node itself - its services, the kubelet, containerd, the API through the node's endpoint, a control
    plane's own API server, the days until certificates expire, and an image's manifest and configuration from each
    registry mirror.
  - Checks from within the node's pod - UDP and TCP to the pods of other nodes, whether they see the pod's own address,
    DNS names of Services, and a Service's cluster IP. With more than eight nodes each pod reaches only the next three.
  - Says which cluster a control plane belongs to, for M(kubewright.cluster.verify_report) to compare.
  - Changes nothing. Failed checks are in the result and do not fail the task. M(kubewright.cluster.verify_report)
    reports them.
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
    description:
      - The value C(begun) that M(kubewright.cluster.cluster_verify) returned. Without it only the node itself is
        checked.
      - For a K3s agent whose servers are not in the inventory, C(elsewhere=true) also checks that its Node is Ready.
    type: dict
    default: {}
  certificate_days:
    description: A certificate with fewer days left than this is a warning. An expired one is a failed check.
    type: int
    default: 30
  seconds:
    description: How long a check is repeated before it fails, in seconds.
    type: int
    default: 15
"""

EXAMPLES = r"""
- name: Check the node and its pod
  kubewright.cluster.node_probe:
    node_name: w-1
    begun: "{{ verify_begun.begun }}"
  register: verify_probed
"""

RETURN = r"""
checks:
  description: The checks, each with C(name), C(status) (ok, warn, fail), C(text), C(node), C(hint) and C(ms).
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: What was checked, such as C(pod to pod).
      type: str
    status:
      description: V(ok), V(warn) or V(fail).
      type: str
    text:
      description: What was found, with values.
      type: str
    node:
      description: Name of the node, null for the cluster as a whole.
      type: str
    hint:
      description: What to do about it, empty for V(ok).
      type: str
    ms:
      description: How long the check took in milliseconds, null if it was not measured.
      type: int
  sample:
    - name: certificates
      status: warn
      text: apiserver has 9 days left
      node: cp-1
      hint: run kubewright.cluster.rotate
      ms: null
cluster:
  description: >-
    On a control plane, which cluster it belongs to by its own API server and its own etcd - C(uid) of the namespace
    kube-system, C(etcd_cluster), the ID of the etcd cluster, C(datastore), and C(problems), why one of them is unknown.
    Null on other nodes.
  type: dict
  returned: always
  sample: {uid: 8b7a1f0e-6f7e-4d65-9b8e-0f6a2d3c1b5a, etcd_cluster: "14841639068965178418", datastore: etcd, problems: []}
member:
  description: Whether this machine is, or was, a node of a cluster.
  type: bool
  returned: always
"""

import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths
from ansible_collections.kubewright.cluster.plugins.module_utils.verify import identity, node, pod


def main() -> None:
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
        checks.append(node.ready(own, time.monotonic() + seconds))
    checks += pod.checks(own, module.params["begun"], time.monotonic() + seconds)
    cluster = identity.of_control_plane(time.monotonic() + seconds)
    module.exit_json(changed=False, checks=checks, cluster=cluster, member=os.path.exists(paths.here().identity))


if __name__ == "__main__":
    main()
