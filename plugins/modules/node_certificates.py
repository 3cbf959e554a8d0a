#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_certificates
short_description: Renew the certificates of a kubeadm node
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Runs on a node and works from its files. Only O(state=serving), and O(state=renewed) with O(wait), need an API.
  - The playbook C(rotate) decides what is renewed, and takes the control plane out of the API endpoints first.
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  diff_mode:
    support: none
options:
  state:
    description:
      - V(renewed) makes the certificates O(names) of a control plane again and restarts the static pods that read them
        only when they start, and those in O(restarts). With O(wait) they are restarted one after the other, and the
        module ends when the node serves from the new files. Without it all are ended at once, and so is the kubelet.
      - V(serving) waits until a control plane serves from its files, after O(state=renewed) without O(wait).
      - V(lent) returns short-lived client certificates for the kubelets O(names), signed on this control plane. Use
        C(no_log) on the task.
      - V(kubelet) gives the kubelet of this node its own client certificate again.
    type: str
    required: true
    choices: [renewed, serving, lent, kubelet]
  node_name:
    description: Name of the node in the cluster.
    type: str
    required: true
  names:
    description: Certificates as kubeadm names them, such as V(apiserver) (O(state=renewed)), or names of nodes
      (O(state=lent)).
    type: list
    elements: str
    default: []
  restarts:
    description: Static pods that are restarted in any case (O(state=renewed)).
    type: list
    elements: str
    default: []
  kubelet:
    description:
      - What the kubelet of this node needs. V(restart) is for a certificate that is valid and was not renewed in time,
        V(borrow) for one that has expired.
      - With O(state=kubelet) the short-lived certificate comes from O(lent), otherwise this control plane signs it.
    type: str
    default: none
    choices: [none, restart, borrow]
  serving:
    description: The kubelet makes the certificate that it serves again (O(state=renewed), O(state=kubelet)).
    type: bool
    default: false
  lent:
    description: The C(certificate) and C(key) that O(state=lent) returned for this node on a control plane.
    type: dict
    default: {}
  config:
    description: The cluster's ClusterConfiguration. kubeadm takes the kind of keys and the lifetime from it.
    type: str
    default: ""
  control_plane:
    description: The node is a control plane (O(state=kubelet)).
    type: bool
    default: false
  etcd_cluster:
    description: ID of the etcd cluster that the node's member belongs to; empty if it is unknown.
    type: str
    default: ""
  healthy:
    description: Fail before anything is changed if the node is not healthy (O(state=renewed)).
    type: bool
    default: true
  wait:
    description: Wait until the node serves again (O(state=renewed)).
    type: bool
    default: true
  timeout:
    description: Longest time to wait, in seconds.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Renew the certificate of the API server
  kubewright.cluster.node_certificates:
    state: renewed
    node_name: cp-1
    names: [apiserver]
"""

RETURN = r"""
restarted:
  description: Static pods that were restarted.
  type: list
  elements: str
  sample: [kube-apiserver, kube-controller-manager, kube-scheduler]
  returned: when O(state=renewed)
served:
  description: The certificates that the node serves, each with C(component), C(name), C(port) and C(serial), in
    hexadecimal.
  type: list
  elements: dict
  returned: when the node serves
  sample: [{component: kube-apiserver, name: apiserver, port: 6443, serial: 3F2A9C41D07E55B8}]
lent:
  description: The C(certificate) and C(key) for each node, by name.
  type: dict
  returned: when O(state=lent)
seconds:
  description: How long it took, in seconds.
  type: float
  returned: always
"""

import time
from typing import Any, Callable, Dict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm import kubelet_identity, renew
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.gate import Gate
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.renew import Renewal
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.runner import KubeadmError, Runner
from ansible_collections.kubewright.cluster.plugins.module_utils.node.ownership import OwnershipError

# A node that was just changed, or that a killed run left in the middle, is healthy within this time.
HEALTHY_SECONDS = 60


class Work:
    """What one call does."""

    def __init__(self, runner: Runner, wanted: Dict[str, Any]) -> None:
        self.runner, self.wanted, self.name = runner, wanted, wanted["node_name"]
        self.renewal = Renewal(runner, self.name, wanted["timeout"])

    def renewed(self) -> Dict[str, Any]:
        """Renew the certificates of a control plane."""
        wanted = self.wanted
        if wanted["wait"] and wanted["healthy"]:
            self._gate(True, min(HEALTHY_SECONDS, wanted["timeout"]))
        self.renewal.renew(wanted["names"], wanted["config"])
        if not wanted["wait"]:
            self._prepare_kubelet()
            self.renewal.stop_all()
            kubelet_identity.restart(self.runner)
            return {"changed": True, "restarted": list(renew.ORDER)}
        # One that has just started needs minutes to start etcd again: it first asks this node's API server for its
        # Node, and that does not answer without etcd. But one whose own certificate is not in order may not run at all.
        first = wanted["kubelet"] != "none"
        former = self._new_kubelet() if first else ""
        restarted = self.renewal.restart([*wanted["restarts"], *renew.affected(wanted["names"])])
        former = former if first else self._new_kubelet()
        return {"changed": True, "restarted": restarted, **self._serves(former)}

    def _new_kubelet(self) -> str:
        """Restart the kubelet with what is due. Return the digest of the certificate that it must replace."""
        self._prepare_kubelet()
        return self._restart_kubelet()

    def _prepare_kubelet(self) -> None:
        """Give the kubelet what it finds when it starts: a borrowed certificate, no serving certificate."""
        if self.wanted["kubelet"] == "borrow":
            own = kubelet_identity.lend(self.runner, self.name, self.wanted["config"], [self.name])
            kubelet_identity.borrow(self.runner, own[self.name])
        if self.wanted["serving"]:
            kubelet_identity.put_serving_aside(self.runner)

    def serving(self) -> Dict[str, Any]:
        """Wait until a control plane serves from its files."""
        former = kubelet_identity.former_of(self.runner) if kubelet_identity.is_borrowed(self.runner) else ""
        self.runner.wait_api(self.wanted["timeout"])
        return {"changed": False, **self._serves(former)}

    def lent(self) -> Dict[str, Any]:
        """Return short-lived certificates."""
        names, config = self.wanted["names"], self.wanted["config"]
        return {"changed": bool(names), "lent": kubelet_identity.lend(self.runner, self.name, config, names)}

    def kubelet(self) -> Dict[str, Any]:
        """Give this node's kubelet its own certificate."""
        if self.wanted["kubelet"] == "borrow":
            if not self.wanted["lent"]:
                raise KubeadmError("no certificate was made for %s" % self.name)
            kubelet_identity.borrow(self.runner, self.wanted["lent"])
        if self.wanted["serving"]:
            kubelet_identity.put_serving_aside(self.runner)
        former = self._restart_kubelet()
        kubelet_identity.settle(self.runner, former, self.renewal.wait)
        kubelet_identity.settle_serving(self.runner, self.renewal.wait)
        self._gate(self.wanted["control_plane"], self.wanted["timeout"])
        return {"changed": True}

    def _restart_kubelet(self) -> str:
        """Restart the kubelet if it needs another certificate. Return the digest of the one that it must replace."""
        if self.wanted["kubelet"] == "none" and not self.wanted["serving"]:
            return ""
        former = kubelet_identity.former_of(self.runner) if self.wanted["kubelet"] != "none" else ""
        kubelet_identity.restart(self.runner)
        return former

    def _serves(self, former: str) -> Dict[str, Any]:
        if former:
            kubelet_identity.settle(self.runner, former, self.renewal.wait)
        kubelet_identity.settle_serving(self.runner, self.renewal.wait)
        proof = self.renewal.prove()
        self._gate(True, self.wanted["timeout"])
        return {"served": proof}

    def _gate(self, control_plane: bool, seconds: float) -> None:
        Gate(self.runner, self.name, control_plane, self.wanted["etcd_cluster"]).wait(seconds)


STATES: Dict[str, Callable[[Work], Dict[str, Any]]] = {
    "renewed": Work.renewed,
    "serving": Work.serving,
    "lent": Work.lent,
    "kubelet": Work.kubelet,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": list(STATES)},
            "node_name": {"type": "str", "required": True},
            "names": {"type": "list", "elements": "str", "default": []},
            "restarts": {"type": "list", "elements": "str", "default": []},
            "kubelet": {"type": "str", "default": "none", "choices": ["none", "restart", "borrow"]},
            "serving": {"type": "bool", "default": False},
            "lent": {"type": "dict", "default": {}, "no_log": True},
            "config": {"type": "str", "default": "", "no_log": True},  # the user may have put a secret into it
            "control_plane": {"type": "bool", "default": False},
            "etcd_cluster": {"type": "str", "default": ""},
            "healthy": {"type": "bool", "default": True},
            "wait": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    started = time.monotonic()
    runner, state = Runner(), module.params["state"]
    if module.check_mode:
        module.exit_json(changed=state != "serving", restarted=[], lent={}, seconds=0.0)
    try:
        result = STATES[state](Work(runner, module.params))
    except (KubeadmError, OwnershipError) as error:
        module.fail_json(msg=("%s\n%s" % (error, runner.last_words())).strip())
    module.exit_json(seconds=round(time.monotonic() - started, 1), **result)


if __name__ == "__main__":
    main()
