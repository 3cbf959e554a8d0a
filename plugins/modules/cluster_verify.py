#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_verify
short_description: Prove a cluster from one control plane
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Checks nodes, etcd members, version skew and CoreDNS, and starts a pod on every node for M(kubewright.cluster.node_probe).
  - The pods run the cluster's own CoreDNS image in C(kube-system) and are taken away by O(state=end).
  - Its passing pods are no change of the cluster, so it never reports one. In check mode it makes none and only reads.
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  diff_mode:
    support: none
options:
  state:
    description: V(begin) checks and starts the pods, V(end) takes them away.
    type: str
    default: begin
    choices: [begin, end]
  nodes:
    description: Names of the nodes that the cluster should have.
    type: list
    elements: str
    default: []
  control_planes:
    description: How many control planes there should be.
    type: int
    default: 1
  timeout:
    description: Seconds to wait for nodes, CoreDNS and pods.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Begin
  kubewright.cluster.cluster_verify:
    nodes: [cp-1, w-1]
"""

RETURN = r"""
begun:
  description: C(checks), C(pods) by node, C(service_ip), C(dns_ip).
  type: dict
  returned: when O(state=begin)
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils import kube_api, verify_cluster


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "default": "begin", "choices": ["begin", "end"]},
            "nodes": {"type": "list", "elements": "str", "default": []},
            "control_planes": {"type": "int", "default": 1},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    try:
        api = kube_api.Api()
        if parameters["state"] == "end":
            if not module.check_mode:
                verify_cluster.end(api)
            module.exit_json(changed=False)
        begun = verify_cluster.begin(api, parameters["nodes"], parameters["control_planes"], parameters["timeout"], not module.check_mode)
    except kube_api.ApiError as error:
        failed = verify_cluster.check("API", "fail", str(error))
        module.exit_json(changed=False, begun={"checks": [failed], "pods": {}, "service_ip": None, "dns_ip": None})
    module.exit_json(changed=False, begun=begun)


if __name__ == "__main__":
    main()
