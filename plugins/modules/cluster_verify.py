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
  - Checks what the API says of the cluster - its nodes, etcd members, control planes, system workloads, version skew, the way to the kubelets.
  - Starts a pod on every node, tainted and cordoned ones too, for M(kubewright.cluster.node_probe), in a namespace of its own
    that O(state=end) takes away. The pods run the cluster's own CoreDNS image, so no further image is needed.
  - What a proof leaves behind that was killed, the next one takes away.
  - The passing pods are no change of the cluster, so it never reports one. In check mode it makes none and only reads.
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  diff_mode:
    support: none
options:
  state:
    description: V(begin) checks and starts the pods, V(end) takes them away without waiting for it.
    type: str
    default: begin
    choices: [begin, end]
  nodes:
    description: Names of the nodes that the cluster should have.
    type: list
    elements: str
    default: []
  control_planes:
    description: Names of those of them that are control planes.
    type: list
    elements: str
    default: []
  servers:
    description: Further API servers, each as C(address:port), to ask where this control plane's own does not answer.
    type: list
    elements: str
    default: []
  image:
    description: A CoreDNS image for the pods. Empty means the one of the cluster's own CoreDNS.
    type: str
    default: ""
  namespace:
    description: Namespace to take away (O(state=end)).
    type: str
  timeout:
    description: Seconds to wait at most for young nodes and for the pods.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Begin
  kubewright.cluster.cluster_verify:
    nodes: [cp-1, w-1]
    control_planes: [cp-1]
  register: verify_begun

- name: End
  kubewright.cluster.cluster_verify:
    state: end
    namespace: "{{ verify_begun.begun.namespace }}"
"""

RETURN = r"""
begun:
  description: C(checks) (see M(kubewright.cluster.node_probe)), C(namespace), C(pods) by node with C(ips) and C(uid), C(service_ips), C(port), C(servers).
  type: dict
  returned: when O(state=begin)
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.api.kubernetes import Api, ApiError, local_server
from ansible_collections.kubewright.cluster.plugins.module_utils.verify import cluster
from ansible_collections.kubewright.cluster.plugins.module_utils.verify.check import FAIL, check


def begin(parameters, make_pods):
    """The proof's first half; a failed check where there is no API to ask."""
    try:
        patience = 10 * cluster.pace(parameters["timeout"])
        api = Api(servers(parameters["servers"]), timeout=patience, patience=patience)
    except ApiError as error:
        checks = [check("API", FAIL, str(error), hint="run site, or look at the control plane")]
        return {"checks": checks, "namespace": None, "pods": {}, "nothing": local_server() is None}
    names = (parameters["nodes"], parameters["control_planes"])
    begun = cluster.begin(api, *names, parameters["timeout"], parameters["image"], make_pods)
    return {**begun, "servers": parameters["servers"], "nothing": False}


def servers(further):
    """This control plane's own API server first, then the others."""
    own = local_server()
    found = [own] if own else []
    for place in further:
        address, _colon, port = place.rpartition(":")
        server = (address.strip("[]"), int(port))
        if server not in found:
            found.append(server)
    return found


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "default": "begin", "choices": ["begin", "end"]},
            "nodes": {"type": "list", "elements": "str", "default": []},
            "control_planes": {"type": "list", "elements": "str", "default": []},
            "servers": {"type": "list", "elements": "str", "default": []},
            "image": {"type": "str", "default": ""},
            "namespace": {"type": "str"},
            "timeout": {"type": "int", "default": 60},
        },
        required_if=[("state", "end", ("namespace",))],
        supports_check_mode=True,
    )
    parameters = module.params
    if parameters["state"] == "begin":
        module.exit_json(changed=False, begun=begin(parameters, not module.check_mode))
    try:
        if not module.check_mode:
            cluster.end(Api(servers(parameters["servers"])), parameters["namespace"])
    except ApiError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
