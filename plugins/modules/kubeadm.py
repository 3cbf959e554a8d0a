#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm
short_description: Start, join and resume kubeadm nodes
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Runs the kubeadm steps that the plan has for a node, and finishes what an earlier run left half done.
  - If a killed run left a running kubeadm on the node, waits until that has finished.
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  diff_mode:
    support: none
options:
  state:
    description:
      - V(init) initialises a new cluster, or finishes a half-made one.
      - V(wait) waits for the API server of a control plane whose kubelet starts it.
      - V(pull) pulls O(images) that are missing.
      - V(credentials) creates a token, and with O(control_plane) a certificate key, for others to join. Use C(no_log)
        on the task.
      - V(join) joins the node, or finishes a half-done join.
      - V(reconfigure) writes the static pods of a control plane and the API server's certificate again from O(config), and
        waits until the kubelet runs those that differ.
      - V(upload) stores O(config) in the cluster, once every control plane has it.
      - V(gate) waits until a changed node serves again - the kubelet and containerd that run now are healthy and have
        reported so since the change and, on a control plane, its own API server answers, its static pods are those of
        their manifests and ready, and its etcd member votes in the same cluster as before.
    type: str
    required: true
    choices: [init, wait, pull, credentials, join, reconfigure, upload, gate]
  config:
    description: Content of kubeadm's configuration file, with C(@token@), C(@ca_hash@) and C(@certificate_key@) in
      place of secrets.
    type: str
  images:
    description: Images to pull (O(state=pull)).
    type: list
    elements: str
    default: []
  node_name:
    description: Name of the node in the cluster (O(state=join), O(state=reconfigure),
      O(state=gate)).
    type: str
  control_plane:
    description: The node is a control plane (or with O(state=credentials), others join as control planes).
    type: bool
    default: false
  etcd_cluster:
    description: ID of the etcd cluster that the node's member belongs to (O(state=gate)); empty if it is unknown.
    type: str
    default: ""
  external_etcd:
    description: >-
      An etcd that others run (O(state=init)) - C(servers), separated by commas, and on the node the files C(cafile),
      C(certfile) and C(keyfile). It must have no objects of a cluster.
    type: dict
  credentials:
    description: What O(state=credentials) returned on a control plane.
    type: dict
  address:
    description: The node's address in the cluster (O(state=join) of a control plane).
    type: str
    default: ""
  others:
    description: Addresses of the other control planes. One of them removes the node's etcd member before what a failed
      join left is removed (O(state=join)).
    type: list
    elements: str
    default: []
  last_try:
    description:
      - Removes what an earlier failed join left before joining, and fails the task if the join fails. Only what a join of
        this collection left that was never complete is removed, after its etcd member, and if all other members are healthy.
      - Without it a failed join returns RV(joined=false) and the reason, so that it can be tried again.
    type: bool
    default: false
  timeout:
    description: Longest time to wait, in seconds.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Join a worker
  kubewright.cluster.kubeadm:
    state: join
    config: "{{ join_document }}"
    node_name: worker-1
    credentials: "{{ hostvars['cp-1'].made.credentials }}"
    last_try: true
"""

RETURN = r"""
joined:
  description: V(true) if the node is a member of the cluster now.
  type: bool
  returned: when O(state=join)
reason:
  description: Why the join failed.
  type: str
  returned: when O(state=join) failed and not O(last_try)
credentials:
  description: C(token), C(ca_hash) (of the certificate authority's public key) and C(certificate_key) (of the uploaded
    certificates).
  type: dict
  returned: when O(state=credentials)
pulled:
  description: Images that were pulled.
  type: list
  elements: str
  sample: ["registry.k8s.io/kube-proxy:v1.36.3"]
  returned: when O(state=pull)
msg:
  description: Why it is unknown what would be pulled.
  type: str
  returned: when O(state=pull), in check mode, and the runtime does not answer
seconds:
  description: How long it took, in seconds.
  type: float
  returned: always
"""

import time
from typing import Any, Callable, Dict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm import (
    images,
    join as joining,
    static_pods,
)
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.gate import Gate
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.runner import KubeadmError, Runner
from ansible_collections.kubewright.cluster.plugins.module_utils.node.ownership import OwnershipError

Parameters = Dict[str, Any]


def credentials(node: Runner, wanted: Parameters) -> dict[str, Any]:
    """Create what others need to join."""
    found = node.credentials(wanted["config"], wanted["control_plane"], wanted["timeout"])
    return {"changed": True, "credentials": found}


def init(node: Runner, wanted: Parameters) -> dict[str, Any]:
    """Initialise the cluster, or finish a half-done init."""
    return {"changed": node.init(wanted["config"], wanted["timeout"], wanted["external_etcd"])}


def wait(node: Runner, wanted: Parameters) -> dict[str, Any]:
    """Wait for the node's own API server."""
    node.wait_api(wanted["timeout"])
    return {"changed": False}


def pull(node: Runner, wanted: Parameters) -> dict[str, Any]:
    """Pull missing images."""
    pulled = images.pull(node, wanted["images"], wanted["timeout"])
    return {"changed": bool(pulled), "pulled": pulled}


def join(node: Runner, wanted: Parameters) -> dict[str, Any]:
    """Join the node. Return the reason of a failure if it is not the last try."""
    try:
        changed = joining.join(
            node,
            wanted["config"],
            wanted["credentials"],
            wanted["node_name"],
            wanted["last_try"],
            wanted["timeout"],
            {key: wanted[key] for key in ("control_plane", "address", "others")},
        )
    except KubeadmError as error:
        if wanted["last_try"]:
            raise
        return {"changed": True, "joined": False, "reason": str(error)}
    return {"changed": changed, "joined": True}


def reconfigure(node: Runner, wanted: Parameters) -> dict[str, Any]:
    """Write the static pods and the API server's certificate again, and wait until the kubelet runs them."""
    static_pods.reconfigure(node, wanted["node_name"], wanted["config"], wanted["timeout"])
    return {"changed": True}


def upload(node: Runner, wanted: Parameters) -> dict[str, Any]:
    """Store the configuration in the cluster."""
    node.upload(wanted["config"], wanted["timeout"])
    return {"changed": True}


def gate(node: Runner, wanted: Parameters) -> dict[str, Any]:
    """Wait until the node serves again."""
    Gate(node, wanted["node_name"], wanted["control_plane"], wanted["etcd_cluster"]).wait(wanted["timeout"])
    return {"changed": False}


ACTIONS: dict[str, Callable[[Runner, Parameters], dict[str, Any]]] = {
    "init": init,
    "wait": wait,
    "pull": pull,
    "credentials": credentials,
    "join": join,
    "reconfigure": reconfigure,
    "upload": upload,
    "gate": gate,
}


def predict(node: Runner, wanted: Parameters) -> dict[str, Any]:
    """Return the result in check mode. The plan requests a state only if there is something to do."""
    state = wanted["state"]
    if state == "pull":
        missing = images.missing(node, wanted["images"])
        if missing is None:
            return {"changed": False, "pulled": [], "msg": "The runtime does not say which images it has."}
        return {"changed": bool(missing), "pulled": missing}
    return {"changed": state not in ("wait", "gate"), **({"joined": True} if state == "join" else {})}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": list(ACTIONS)},
            "config": {"type": "str", "no_log": True},  # the user may have put a secret into it
            "images": {"type": "list", "elements": "str", "default": []},
            "node_name": {"type": "str"},
            "control_plane": {"type": "bool", "default": False},
            "etcd_cluster": {"type": "str", "default": ""},
            "external_etcd": {"type": "dict"},
            "credentials": {"type": "dict", "no_log": True},
            "address": {"type": "str", "default": ""},
            "others": {"type": "list", "elements": "str", "default": []},
            "last_try": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 600},
        },
        required_if=[
            ("state", "join", ["config", "credentials", "node_name"]),
            ("state", "gate", ["node_name"]),
            ("state", "init", ["config"]),
            ("state", "credentials", ["config"]),
            ("state", "reconfigure", ["config", "node_name"]),
            ("state", "upload", ["config"]),
        ],
        supports_check_mode=True,
    )
    started = time.monotonic()
    node = Runner()
    try:
        action = predict if module.check_mode else ACTIONS[module.params["state"]]
        result = action(node, module.params)
    except (KubeadmError, OwnershipError) as error:
        module.fail_json(msg=("%s\n%s" % (error, node.last_words())).strip())
    module.exit_json(seconds=round(time.monotonic() - started, 1), **result)


if __name__ == "__main__":
    main()
