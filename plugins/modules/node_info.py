#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_info
short_description: Look at a machine once
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Tells in one call what Kubernetes needs to know of a machine - architecture, CPUs, memory, disks, cgroups, kernel, network, clock - and what is
    installed there already, with the state of the files and services that the collection manages.
  - On a control plane it also asks the local API server and etcd.
  - Changes nothing. What cannot be found out is null, with a sentence in RV(node.warnings).
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  diff_mode:
    support: none
options:
  address_probe:
    description: Address of another node. The own address that packets to it would carry is RV(node.network.probe_source).
    type: str
  controller_epoch:
    description: The controller's time in seconds, to compare the clock with.
    type: float
  paths:
    description: Further files to report, beside those that the collection manages.
    type: list
    elements: path
    default: []
  data_paths:
    description: Directories whose disks are reported. Default is C(/var/lib/etcd), C(/var/lib/containerd), C(/var/lib/kubelet).
    type: list
    elements: path
    default: []
"""

EXAMPLES = r"""
- name: Look
  kubewright.cluster.node_info:
    controller_epoch: "{{ now(utc=true).timestamp() }}"
  register: kube_look
"""

RETURN = r"""
node:
  description: What was found.
  type: dict
  returned: success
  contains:
    architecture:
      description: C(name) as Kubernetes has it (amd64, arm64, arm, ...), C(raw) as the kernel has it, C(bits) of its programs.
      type: dict
      returned: always
      sample: {name: amd64, raw: x86_64, bits: 64}
    cpus:
      description: C(count) that may be used, C(host_count), C(limit) of the control group in CPUs.
      type: dict
      returned: always
    memory:
      description: Bytes - C(total_bytes), C(limit_bytes) of the control group, C(usable_bytes) the smaller of them, C(available_bytes) now.
      type: dict
      returned: always
    disks:
      description: By directory C(mount), C(fs), C(device), C(total_bytes), C(free_bytes), C(kind), C(read_only).
      type: dict
      returned: always
    cgroup:
      description: C(version) (v1, v2, hybrid) and C(controllers).
      type: dict
      returned: always
    network:
      description: C(interfaces), C(routes), C(default_ipv4), C(default_ipv6), C(probe_source).
      type: dict
      returned: always
    cluster:
      description: C(kind) of the cluster that the machine belongs to, its identity (C(ca_sha256)), its C(role), C(certificates), and C(live), what its API says.
      type: dict
      returned: always
    warnings:
      description: What could not be found out.
      type: list
      elements: str
      returned: always
seconds:
  description: How long the look took.
  type: float
  returned: always
"""

import time

ARRIVED = time.time()

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.kubewright.cluster.plugins.module_utils.detect import node  # noqa: E402


def main():
    module = AnsibleModule(
        argument_spec={
            "address_probe": {"type": "str"},
            "controller_epoch": {"type": "float"},
            "paths": {"type": "list", "elements": "path", "default": []},
            "data_paths": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    started = time.monotonic()
    parameters = module.params
    found = node.look(
        parameters["address_probe"],
        parameters["controller_epoch"],
        parameters["paths"],
        parameters["data_paths"],
        ARRIVED,
    )
    module.exit_json(changed=False, node=found, seconds=round(time.monotonic() - started, 3))


if __name__ == "__main__":
    main()
