#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_verify
short_description: Verify a cluster from one control plane
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Runs on a control plane. With O(state=begin) it checks what the API reports about the cluster - its nodes, etcd
    members, static pods, system workloads, version skew, and whether the API reaches every kubelet.
  - It also starts a pod on every node, tainted and cordoned nodes included, in a separate namespace.
    M(kubewright.cluster.node_probe) then checks the network and DNS from these pods, and O(state=end) deletes them.
  - The pods run the cluster's own CoreDNS image, so that no other image has to be pulled.
  - If a run was killed, the next one deletes the namespace that it left behind once it is ten minutes old.
  - The temporary pods do not count as a change, so the module never reports one. In check mode it does not create pods.
  - Failed checks are in the result and do not fail the task. M(kubewright.cluster.verify_report) reports them.
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  diff_mode:
    support: none
options:
  state:
    description:
      - V(begin) runs the checks and starts the pods.
      - V(end) deletes the pods with their namespace, without waiting until they are gone.
    type: str
    default: begin
    choices: [begin, end]
  nodes:
    description: Names of the expected nodes. A missing one is a failed check, an additional one a warning.
    type: list
    elements: str
    default: []
  control_planes:
    description: Names of the control planes among O(nodes).
    type: list
    elements: str
    default: []
  servers:
    description: More API servers, each as C(address:port), to use if this control plane's own does not answer.
    type: list
    elements: str
    default: []
  image:
    description: A CoreDNS image for the pods. If empty, the image of the cluster's own CoreDNS is used.
    type: str
    default: ""
  namespace:
    description: The namespace to delete. Required if O(state=end).
    type: str
  timeout:
    description:
      - Longest time to wait for new nodes and for the pods, in seconds.
      - A value over 60 also gives each single answer more time, for slow machines.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Check the cluster and start a pod on every node
  kubewright.cluster.cluster_verify:
    nodes: [cp-1, w-1]
    control_planes: [cp-1]
  register: verify_begun

- name: Delete the pods
  kubewright.cluster.cluster_verify:
    state: end
    namespace: "{{ verify_begun.begun.namespace }}"
"""

RETURN = r"""
begun:
  description: >-
    What was found, for M(kubewright.cluster.node_probe) - C(checks), C(namespace), C(pods) by node with C(ips) and
    C(uid), C(service_ips), C(port), C(servers) and C(nothing).
  type: dict
  returned: when O(state=begin)
  contains:
    checks:
      description: The checks, in the form that M(kubewright.cluster.node_probe) returns.
      type: list
      elements: dict
    namespace:
      description: Namespace of the pods, null if none was created.
      type: str
    pods:
      description: The running pods by node name, each with C(ips) and C(uid).
      type: dict
    service_ips:
      description: Cluster IPs of the pods' Service, one of each IP family.
      type: list
      elements: str
    port:
      description: Port on which the pods answer DNS questions, by UDP and TCP.
      type: int
    servers:
      description: The value of O(servers).
      type: list
      elements: str
    nothing:
      description: True if this machine has no control plane at all.
      type: bool
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.api.kubernetes import (
    Api,
    ApiError,
    Server,
    local_server,
)
from ansible_collections.kubewright.cluster.plugins.module_utils.verify import cluster
from ansible_collections.kubewright.cluster.plugins.module_utils.verify.check import FAIL, check


def begin(parameters: dict[str, Any], make_pods: bool) -> dict[str, Any]:
    """Run the checks and start the pods. Return what was found, with a failed check if there is no API to ask."""
    try:
        patience = 10 * cluster.pace(parameters["timeout"])
        api = Api(servers(parameters["servers"]), timeout=patience, patience=patience)
    except ApiError as error:
        checks = [check("API", FAIL, str(error), hint="run site again, or look at the control plane")]
        return {"checks": checks, "namespace": None, "pods": {}, "nothing": local_server() is None}
    names = (parameters["nodes"], parameters["control_planes"])
    begun = cluster.begin(api, *names, parameters["timeout"], parameters["image"], make_pods)
    return {**begun, "servers": parameters["servers"], "nothing": False}


def servers(further: list[str]) -> list[Server]:
    """Return (address, port) of this control plane's own API server, then of the others."""
    own = local_server()
    found = [own] if own else []
    for place in further:
        address, _colon, port = place.rpartition(":")
        server = (address.strip("[]"), int(port))
        if server not in found:
            found.append(server)
    return found


def main() -> None:
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
