#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_upgrade
short_description: Change the version of one kubeadm node
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Runs C(kubeadm upgrade) on a node that M(kubewright.cluster.node_maintenance) took out of service, and waits until
    the node serves in the new version.
  - A run that was killed is finished by the same call.
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  diff_mode:
    support: none
options:
  state:
    description:
      - V(control_plane) changes the static pods.
      - V(kubelet) writes the kubelet's files for the installed kubeadm's version. The kubelet reads them when it is
        restarted.
    type: str
    required: true
    choices: [control_plane, kubelet]
  name:
    description: Name of the node.
    type: str
    default: ""
  program:
    description: The kubeadm to run (O(state=control_plane)).
    type: path
    default: /usr/local/bin/kubeadm
  kind:
    description: V(apply) on one control plane for each version, V(node) on the others.
    type: str
    choices: [apply, node]
    default: node
  version:
    description: The version that the control plane will have.
    type: str
    default: ""
  etcd_tag:
    description: Tag of the image that etcd will have, empty if it stays.
    type: str
    default: ""
  addons:
    description: Whether CoreDNS and kube-proxy follow once the last control plane has the version.
    type: bool
    default: false
  config:
    description: kubeadm's configuration that is stored in the cluster first, empty if none is.
    type: str
    default: ""
  patches:
    description: Directory on the node with patches of static pods and of the kubelet's configuration, empty for none.
    type: str
    default: ""
  ignore_preflight_errors:
    description: Preflight checks of kubeadm that need not pass.
    type: list
    elements: str
    default: []
  etcd_cluster:
    description: ID of the etcd cluster before the change, empty if it is unknown.
    type: str
    default: ""
  timeout:
    description: Longest time to wait for one of kubeadm's steps, in seconds.
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Upgrade a control plane
  kubewright.cluster.kubeadm_upgrade:
    state: control_plane
    name: cp1
    program: /opt/kubewright/1.37.2/kubeadm
    kind: apply
    version: 1.37.2
    etcd_tag: 3.7.0-0
    addons: true
"""

RETURN = r"""
seconds:
  description: How long it took, in seconds.
  type: float
  returned: always
"""

import time
from typing import Any, Callable, Dict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.api.kubernetes import ApiError
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.gate import Gate
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.runner import KubeadmError, Runner
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.upgrade import Step, Upgrade
from ansible_collections.kubewright.cluster.plugins.module_utils.node.ownership import OwnershipError

Parameters = Dict[str, Any]


def control_plane(work: Upgrade, wanted: Parameters) -> Dict[str, Any]:
    """Change the static pods."""
    step = Step(
        wanted["kind"],
        wanted["version"],
        wanted["etcd_tag"],
        wanted["addons"],
        wanted["ignore_preflight_errors"],
        wanted["config"],
        wanted["patches"] or "",
    )
    work.control_plane(step, wanted["timeout"])
    return {"changed": True}


def kubelet(work: Upgrade, wanted: Parameters) -> Dict[str, Any]:
    """Write the kubelet's files."""
    work.kubelet(wanted["timeout"], wanted["patches"] or "")
    return {"changed": True}


ACTIONS: Dict[str, Callable[[Upgrade, Parameters], Dict[str, Any]]] = {
    "control_plane": control_plane,
    "kubelet": kubelet,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": list(ACTIONS)},
            "name": {"type": "str", "default": ""},
            "program": {"type": "path", "default": "/usr/local/bin/kubeadm"},
            "kind": {"type": "str", "choices": ["apply", "node"], "default": "node"},
            "version": {"type": "str", "default": ""},
            "etcd_tag": {"type": "str", "default": ""},
            "addons": {"type": "bool", "default": False},
            "config": {"type": "str", "default": "", "no_log": True},  # the user may have put a secret into it
            "ignore_preflight_errors": {"type": "list", "elements": "str", "default": []},
            "etcd_cluster": {"type": "str", "default": ""},
            "patches": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 600},
        },
        required_if=[("state", "control_plane", ["name", "version"])],
        supports_check_mode=True,
    )
    started, wanted = time.monotonic(), module.params
    runner = Runner(program=wanted["program"])
    work = Upgrade(runner, Gate(runner, wanted["name"], True, wanted["etcd_cluster"]))
    result: Dict[str, Any] = {"changed": True}
    try:
        if not module.check_mode:
            result = ACTIONS[wanted["state"]](work, wanted)
    except (KubeadmError, OwnershipError, ApiError) as error:
        module.fail_json(msg=("%s\n%s" % (error, runner.last_words())).strip())
    module.exit_json(seconds=round(time.monotonic() - started, 1), **result)


if __name__ == "__main__":
    main()
