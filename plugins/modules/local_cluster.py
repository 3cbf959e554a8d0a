#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: local_cluster
short_description: Manage container nodes of local clusters
version_added: 0.1.0
author:
  - kubewright contributors (@kubewright)
description:
  - Creates, starts, stops, removes and lists the nodes of named local clusters as containers of Podman or Docker, all
    nodes at the same time.
  - Each node runs Debian with systemd and is reached by SSH at its own address, which it keeps when it is stopped and
    started.
  - The engine's arguments depend on the host's engine, OCI runtime, cgroups, limits and kernel modules.
  - Containers without the cluster's label are never touched. If one has the name of a wanted node, the module fails.
requirements:
  - Podman or Docker, running as root
  - ssh-keygen
options:
  name:
    description: Name of the cluster, and the start of its nodes' names. Without it O(state=listed) lists all clusters.
    type: str
  state:
    description:
      - V(present) creates missing nodes and starts stopped ones. Surplus nodes are kept.
      - V(started) and V(stopped) start and stop the nodes, V(absent) removes them with their data, key and directory.
      - V(listed) changes nothing and returns what exists.
    type: str
    choices: [present, started, stopped, absent, listed]
    default: present
  control_planes:
    description: Number of control planes, without O(nodes). 1 or an odd number from 3.
    type: int
    default: 1
  workers:
    description: Number of workers, without O(nodes).
    type: int
    default: 0
  nodes:
    description: The nodes one by one, in place of O(control_planes) and O(workers).
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the node, which is also its container's and its host name.
        type: str
        required: true
      groups:
        description: Its inventory groups. The default is C(kube_node).
        type: list
        elements: str
      cpus:
        description: CPU limit, in place of O(cpus).
        type: float
      memory:
        description: Memory limit, in place of O(memory).
        type: str
      ports:
        description: Ports of the host that are forwarded to the node, as C([ADDRESS:]HOST_PORT:NODE_PORT[/PROTOCOL]).
          The default address is 127.0.0.1.
        type: list
        elements: str
      env:
        description: Environment variables of its first process.
        type: dict
  ports:
    description: Ports of the host that are forwarded to the first node, written as in O(nodes[].ports).
    type: list
    elements: str
    default: []
  cpus:
    description: CPU limit of each node.
    type: float
  memory:
    description: Memory limit of each node, such as V(2g).
    type: str
  image:
    description: Image of the nodes. By default it is built, once for all clusters.
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
    description: The engine's network that the nodes share. It is made if it does not exist.
    type: str
    default: kubewright
  subnet:
    description: Subnet of the network if it is made. The default is 10.131.0.0/24 or the next /24 that the host does
      not use.
    type: str
  engine:
    description: The container engine. V(auto) uses Podman if it works, otherwise Docker.
    type: str
    choices: [auto, podman, docker]
    default: auto
  vars:
    description: Variables for the inventory, such as C(kube_artifacts) and C(kube_registries). They override those that
      the module sets.
    type: dict
    default: {}
  images:
    description:
      - Images to load into every node's containerd, which must be running. Paths of archives, or names of images in the
        engine's store.
    type: list
    elements: str
    default: []
  cache:
    description: Directory for images, keys and inventories.
    type: path
    required: true
  inventory_path:
    description:
      - File on the controller for the inventory, relative to the working directory, with O(state=present).
      - A file that is not such an inventory is not replaced.
    type: path
    default: inventory.yml
  timeout:
    description: Longest time to wait for SSH on all nodes, in seconds.
    type: int
    default: 60
attributes:
  check_mode:
    support: full
    description: Returns what would be done.
  diff_mode:
    support: none
    description: The actions are listed instead.
"""

EXAMPLES = r"""
- name: Create three control planes and a worker
  kubewright.cluster.local_cluster:
    name: demo
    control_planes: 3
    workers: 1
    ports: ["8080:30080"]
    cache: ~/.cache/kubewright
    builder: "{{ role_path }}/files/image/build.sh"

- name: List all local clusters
  kubewright.cluster.local_cluster:
    state: listed
    cache: ~/.cache/kubewright
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be, as sentences.
  returned: always
  type: list
  elements: str
  sample: ["made demo-cp1 at 10.131.0.10"]
nodes:
  description: The nodes of the cluster.
  returned: always
  type: list
  elements: dict
  sample:
    - name: demo-cp1
      groups: [kube_control_plane]
      address: 10.131.0.10
      image: localhost/kubewright-node:debian12
      status: running
      running: true
clusters:
  description: The nodes of every cluster by its name, in the form of RV(nodes).
  returned: always
  type: dict
inventory:
  description: Path of the inventory of the cluster on the controller.
  returned: when O(state=present)
  type: str
summary:
  description: What was done and what exists, one line each.
  returned: always
  type: list
  elements: str
  sample: ["Made demo-cp1.", "demo: 1 of 1 nodes running"]
host:
  description: Facts of the host and its engine.
  returned: always
  type: dict
network:
  description: The network of the nodes, with its C(name).
  returned: always
  type: dict
  sample: {name: kubewright}
seconds:
  description: How long each step took, in seconds, by its name.
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
    "vars": {"type": "dict", "default": {}},
    "images": {"type": "list", "elements": "str", "default": []},
    "cache": {"type": "path", "required": True},
    "inventory_path": {"type": "path", "default": "inventory.yml"},
    "timeout": {"type": "int", "default": 60},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        no_log=True,  # variables may have logins: nothing of the parameters goes to the journal
        required_if=[("state", state, ["name"]) for state in ("present", "started", "stopped", "absent")],
    )
    parameters = dict(module.params)
    module.params["vars"] = sorted(parameters["vars"])  # this copy of the parameters is shown: names only
    try:
        program, host = choose_engine(parameters["engine"], run)
        result = Cluster(parameters, Engine(program, host), module.check_mode).run()
    except local_nodes.LocalError as error:
        module.fail_json(msg="\n".join(error.problems), problems=error.problems)
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
