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
  - Carries out on one node what the plan says that kubeadm has to do there, and finishes what an earlier run left half done.
  - A kubeadm that still runs on the node (left by a run that was killed) is waited for, not disturbed.
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  diff_mode:
    support: none
options:
  state:
    description:
      - V(init) makes a new cluster, or finishes a half-made one.
      - V(wait) waits for the API server of a control plane whose kubelet starts it.
      - V(pull) pulls O(images) that are missing.
      - V(credentials) makes a token, and a key for the certificates where O(control_plane), for others to join. Run it under C(no_log).
      - V(join) joins the node, or finishes a half-done join.
      - V(reconfigure) writes the static pods of a control plane anew from O(config), and the API server's certificate where its names changed.
      - V(upload) keeps O(config) in the cluster, once every control plane has it.
      - V(gate) waits until a changed node serves again - its kubelet and, on a control plane, its API server answer, the node is Ready and its
        etcd member votes. C(Ready) alone would hide a member that does not take part.
    type: str
    required: true
    choices: [init, wait, pull, credentials, join, reconfigure, upload, gate]
  config:
    description: kubeadm's configuration file, with C(@token@), C(@ca_hash@) and C(@certificate_key@) where the secrets go.
    type: str
  images:
    description: Images to pull (O(state=pull)).
    type: list
    elements: str
    default: []
  node_name:
    description: Name of the node in the cluster (O(state=join), O(state=gate)).
    type: str
  control_plane:
    description: Whether the node is, or others join as, a control plane.
    type: bool
    default: false
  credentials:
    description: What O(state=credentials) returned on a control plane.
    type: dict
  last_try:
    description:
      - Whether a failed join fails the task, after what it left was taken away and it was tried anew.
      - Without it a failed join returns RV(joined=false) and its reason, to be tried again alone.
    type: bool
    default: false
  timeout:
    description: Seconds to wait at most.
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
  description: Whether the node is a member now.
  type: bool
  returned: when O(state=join)
reason:
  description: Why a join that is to be tried again failed.
  type: str
  returned: when O(state=join) failed and not O(last_try)
credentials:
  description: The token, the hash of the certificate authority's key, and the key of the uploaded certificates.
  type: dict
  returned: when O(state=credentials)
pulled:
  description: Images that were pulled.
  type: list
  elements: str
  returned: when O(state=pull)
seconds:
  description: How long it took.
  type: float
  returned: always
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm import runner as node


def credentials(parameters):
    return {
        "changed": True,
        "credentials": node.credentials(parameters["config"], parameters["control_plane"], parameters["timeout"]),
    }


def init(parameters):
    return {"changed": node.init(parameters["config"], parameters["timeout"])}


def wait(parameters):
    node.wait_api(parameters["timeout"])
    return {"changed": False}


def pull(parameters):
    pulled = node.pull(parameters["images"], parameters["timeout"])
    return {"changed": bool(pulled), "pulled": pulled}


def join(parameters):
    try:
        changed = node.join(
            parameters["config"],
            parameters["credentials"],
            parameters["node_name"],
            parameters["control_plane"],
            parameters["last_try"],
            parameters["timeout"],
        )
    except node.KubeadmError as error:
        if parameters["last_try"]:
            raise
        return {"changed": True, "joined": False, "reason": str(error)}
    return {"changed": changed, "joined": True}


def reconfigure(parameters):
    node.reconfigure(parameters["config"], parameters["timeout"])
    return {"changed": True}


def upload(parameters):
    node.upload(parameters["config"], parameters["timeout"])
    return {"changed": True}


def gate(parameters):
    node.gate(parameters["node_name"], parameters["control_plane"], parameters["timeout"])
    return {"changed": False}


def predict(parameters):
    """What check mode says: the plan calls for a step only where it has something to do."""
    result = {"changed": parameters["state"] not in ("wait", "gate")}
    if parameters["state"] == "pull":
        result.update(changed=True, pulled=node.missing_images(parameters["images"]))
    if parameters["state"] == "join":
        result["joined"] = True
    return result


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "required": True,
                "choices": ["init", "wait", "pull", "credentials", "join", "reconfigure", "upload", "gate"],
            },
            "config": {"type": "str"},
            "images": {"type": "list", "elements": "str", "default": []},
            "node_name": {"type": "str"},
            "control_plane": {"type": "bool", "default": False},
            "credentials": {"type": "dict", "no_log": True},
            "last_try": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 600},
        },
        required_if=[
            ("state", "join", ["config", "credentials", "node_name"]),
            ("state", "init", ["config"]),
            ("state", "credentials", ["config"]),
        ],
        supports_check_mode=True,
    )
    started = time.monotonic()
    try:
        action = predict if module.check_mode else globals()[module.params["state"]]
        result = action(module.params)
    except node.KubeadmError as error:
        module.fail_json(msg="%s\n%s" % (error, node.troubles()))
    module.exit_json(seconds=round(time.monotonic() - started, 1), **result)


if __name__ == "__main__":
    main()
