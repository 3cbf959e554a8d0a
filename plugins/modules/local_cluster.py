#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: local_cluster
short_description: Containers that are the nodes of a local cluster
version_added: 0.1.0
author:
  - kubewright contributors (@kubewright)
description:
  - Makes, starts, stops, removes and lists the nodes of named local clusters as containers of Podman or Docker, all nodes at once.
  - Each node is a Debian with systemd that is reached by SSH at an address of its own, which it keeps when it is stopped and started.
  - What the host allows is found out first (engine, OCI runtime, cgroups, limits, kernel modules), and only what it calls for is asked of the engine.
  - Containers that do not carry the cluster's label are never touched. One that bears the name of a wanted node is a refusal.
requirements:
  - Podman or Docker, running as root
  - ssh-keygen
options:
  name:
    description: Name of the cluster. Its nodes are called after it. Not needed for O(state=listed), which lists all clusters then.
    type: str
  state:
    description:
      - V(present) makes what lacks of the cluster and starts what is stopped. Nodes that are no longer asked for are kept.
      - V(started) and V(stopped) start and stop it, V(absent) removes it with its data, its key and its directory.
      - V(listed) says what there is.
    type: str
    choices: [present, started, stopped, absent, listed]
    default: present
  control_planes:
    description: How many control planes to make where O(nodes) is not given.
    type: int
    default: 1
  workers:
    description: How many workers to make where O(nodes) is not given.
    type: int
    default: 0
  nodes:
    description: The nodes one by one, in place of counts.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the node, of its container and its host name.
        type: str
        required: true
      groups:
        description: The inventory groups it is in. C(kube_node) when nothing is said.
        type: list
        elements: str
      cpus:
        description: Limit of its CPUs, overriding O(cpus).
        type: float
      memory:
        description: Limit of its memory, overriding O(memory).
        type: str
      ports:
        description: Ports of the host that lead to it, as C([ADDRESS:]HOST_PORT:NODE_PORT[/PROTOCOL]); without an address on the loopback address alone.
        type: list
        elements: str
      env:
        description: Environment of its first process.
        type: dict
  ports:
    description: Ports of the host that lead to the first node, written as in O(nodes[].ports).
    type: list
    elements: str
    default: []
  cpus:
    description: Limit of each node's CPUs.
    type: float
  memory:
    description: Limit of each node's memory, as the engine takes it, such as V(2g).
    type: str
  image:
    description: Image of the nodes. Without one it is built, once for all clusters.
    type: str
  os:
    description: Debian release of the image that is built.
    type: str
    choices: [debian12, debian13]
    default: debian12
  builder:
    description: Path of the script that builds the image, called with release, image, cache directory and engine.
    type: path
  network:
    description: The engine's network that the nodes share. It is made when it is not there.
    type: str
    default: kubewright
  subnet:
    description: Subnet of the network when it is made. Without one, 10.131.0.0/24 or the next /24 that the host does not use.
    type: str
  engine:
    description: The engine. V(auto) takes Podman where it works, else Docker.
    type: str
    choices: [auto, podman, docker]
    default: auto
  lab:
    description: Whether the nodes use the registry and the artifact server of the container C(kubewright-lab). V(auto) does where it runs.
    type: str
    choices: [auto, 'true', 'false']
    default: auto
  vars:
    description: Variables for the inventory; they win over those that are found out.
    type: dict
    default: {}
  images:
    description:
      - Images to load into every node's containerd, once that runs. Paths of archives, or names of images that the engine has.
    type: list
    elements: str
    default: []
  cache:
    description: Directory for images, keys and inventories.
    type: path
    required: true
  timeout:
    description: Seconds to wait for SSH on all nodes.
    type: int
    default: 60
attributes:
  check_mode:
    support: full
    description: Says what would be done.
  diff_mode:
    support: none
    description: The actions are listed instead.
"""

EXAMPLES = r"""
- name: A cluster of three control planes and a worker
  kubewright.cluster.local_cluster:
    name: demo
    control_planes: 3
    workers: 1
    ports: ["8080:30080"]
    cache: ~/.cache/kubewright
    builder: "{{ role_path }}/files/image/build.sh"

- name: What there is
  kubewright.cluster.local_cluster:
    state: listed
    cache: ~/.cache/kubewright
"""

RETURN = r"""
actions:
  description: What was done, as sentences.
  returned: always
  type: list
  elements: str
  sample: ["made demo-cp1 at 10.131.0.10"]
nodes:
  description: The nodes of the cluster, with name, groups, address, image and status.
  returned: always
  type: list
  elements: dict
clusters:
  description: The nodes of every cluster, by its name.
  returned: always
  type: dict
inventory:
  description: The inventory of the cluster.
  returned: when O(state=present)
  type: dict
summary:
  description: What was done and what there is, a line each.
  returned: always
  type: list
  elements: str
host:
  description: What was found out about the host.
  returned: always
  type: dict
network:
  description: Name of the network.
  returned: always
  type: dict
seconds:
  description: How long it took, by what was done.
  returned: always
  type: dict
"""


from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.local import nodes as local_nodes
from ansible_collections.kubewright.cluster.plugins.module_utils.local.cluster import Cluster
from ansible_collections.kubewright.cluster.plugins.module_utils.local.engine import Engine, run
from ansible_collections.kubewright.cluster.plugins.module_utils.local.host import choose_engine

NODE = {
    "name": {"type": "str", "required": True},
    "groups": {"type": "list", "elements": "str"},
    "cpus": {"type": "float"},
    "memory": {"type": "str"},
    "ports": {"type": "list", "elements": "str"},
    "env": {"type": "dict"},
}
ARGUMENTS = {
    "name": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "started", "stopped", "absent", "listed"], "default": "present"},
    "control_planes": {"type": "int", "default": 1},
    "workers": {"type": "int", "default": 0},
    "nodes": {"type": "list", "elements": "dict", "options": NODE},
    "ports": {"type": "list", "elements": "str", "default": []},
    "cpus": {"type": "float"},
    "memory": {"type": "str"},
    "image": {"type": "str"},
    "os": {"type": "str", "choices": ["debian12", "debian13"], "default": "debian12"},
    "builder": {"type": "path"},
    "network": {"type": "str", "default": "kubewright"},
    "subnet": {"type": "str"},
    "engine": {"type": "str", "choices": ["auto", "podman", "docker"], "default": "auto"},
    "lab": {"type": "str", "choices": ["auto", "true", "false"], "default": "auto"},
    "vars": {"type": "dict", "default": {}},
    "images": {"type": "list", "elements": "str", "default": []},
    "cache": {"type": "path", "required": True},
    "timeout": {"type": "int", "default": 60},
}


def main():
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_if=[("state", state, ["name"]) for state in ("present", "started", "stopped", "absent")],
    )
    try:
        program, host = choose_engine(module.params["engine"], run)
        result = Cluster(module.params, Engine(program, host), module.check_mode).run()
    except local_nodes.LocalError as error:
        module.fail_json(msg="\n".join(error.problems), problems=error.problems)
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
