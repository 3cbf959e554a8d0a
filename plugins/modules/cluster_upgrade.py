#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_upgrade
short_description: Check whether a cluster can be upgraded
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Runs before the playbook C(upgrade) changes anything, on nodes of kubeadm and of K3s. It changes nothing.
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  diff_mode:
    support: none
options:
  state:
    description:
      - V(settled) waits for what a killed run left behind on this node - a kubeadm that still works, and the API server
        that it, or a restart of K3s, starts.
      - V(asked) returns what a healthy control plane says of its cluster.
      - V(offered) returns which files and images the sources of this node do not have.
    type: str
    required: true
    choices: [settled, asked, offered]
  drained:
    description: Names of the nodes whose pods will be evicted (O(state=asked)).
    type: list
    elements: str
    default: []
  servers:
    description: The API servers by the name of their node, as C(address:port) (O(state=asked)).
    type: dict
    default: {}
  holder:
    description: Who will take the lock (O(state=asked)), as M(kubewright.cluster.node_maintenance) has it.
    type: dict
  sources:
    description: Files to ask for (O(state=offered)), each source with C(source), C(proxy), C(no_proxy) and C(urls).
    type: list
    elements: dict
    default: []
  images:
    description: Images of kubeadm to ask for (O(state=offered)). Those that the node has are not asked for.
    type: list
    elements: str
    default: []
  timeout:
    description: Longest time to wait, in seconds (O(state=settled)).
    type: int
    default: 600
"""

EXAMPLES = r"""
- name: Wait for what an interrupted run left running
  kubewright.cluster.cluster_upgrade:
    state: settled
    timeout: 300
"""

RETURN = r"""
cluster:
  description: >-
    What there is - C(members) of etcd, C(etcd_error), C(blocked), C(lost) and C(alone) pods by node name, C(hooks),
    the only pods of webhooks by node name, C(apis) that clients use and a release removes, C(apis_unknown), why an API
    server does not say, C(plans) of the system-upgrade-controller, and C(lock), why the lock cannot be taken.
  type: dict
  returned: when O(state=asked)
lock_run:
  description: The run that holds the lock.
  type: str
  returned: when O(state=asked)
files:
  description: C(missing) and C(silent), each a map of addresses to what the server said.
  type: dict
  returned: when O(state=offered)
images:
  description: C(missing) and C(silent), each a map of images to what was said.
  type: dict
  returned: when O(state=offered)
problem:
  description: Why the API server does not serve yet.
  type: str
  returned: when O(state=settled)
"""

from typing import Any, Callable, Dict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.api import upgrade_facts
from ansible_collections.kubewright.cluster.plugins.module_utils.api.kubernetes import Api, ApiError
from ansible_collections.kubewright.cluster.plugins.module_utils.api.lock import Holder, Lock
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s import upgrade as k3s
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm import images
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.gate import Gate
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.runner import Runner
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.upgrade import Upgrade
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths
from ansible_collections.kubewright.cluster.plugins.module_utils.node.downloads import Source
from ansible_collections.kubewright.cluster.plugins.module_utils.node.ownership import OwnershipError
from ansible_collections.kubewright.cluster.plugins.module_utils.reset import removal
from ansible_collections.kubewright.cluster.plugins.module_utils.verify import offered as offers

Parameters = Dict[str, Any]


def settled(wanted: Parameters) -> Dict[str, Any]:
    """Wait for what a killed run left running."""
    if isinstance(paths.here(), paths.K3s):
        return {"problem": k3s.settle(wanted["timeout"])}
    runner = Runner()
    return {"problem": Upgrade(runner, Gate(runner, "", True, "")).settle(wanted["timeout"])}


def asked(wanted: Parameters) -> Dict[str, Any]:
    """Return what speaks against an upgrade."""
    api = removal.api()
    servers = []
    for name, place in sorted(wanted["servers"].items()):
        address, _colon, port = str(place).rpartition(":")
        servers.append((name, Api([(address.strip("[]"), int(port))])))
    found = upgrade_facts.facts(api, removal.client(), servers, wanted["drained"])
    holder = wanted["holder"] or {}
    lock = Lock(api, Holder(holder.get("name", ""), holder.get("operation", ""), holder.get("run", "")))
    other = lock.held_by_another()
    found["lock"] = str(other) if other and other.run != holder.get("dead") else ""
    return {"cluster": found, "lock_run": other.run if other else ""}


def offered(wanted: Parameters) -> Dict[str, Any]:
    """Return which files and images the sources of this node do not have."""
    found: Dict[str, Dict[str, str]] = {"missing": {}, "silent": {}}
    for row in wanted["sources"]:
        source = Source(row["source"], row.get("proxy"), no_proxy=row.get("no_proxy") or [])
        for kind, addresses in offers.files(source, row["urls"]).items():
            found[kind].update(addresses)
    absent = images.missing(Runner(), wanted["images"]) if wanted["images"] else []
    asked_for = wanted["images"] if absent is None else absent
    return {"files": found, "images": offers.images(asked_for, paths.Kubeadm())}


ACTIONS: Dict[str, Callable[[Parameters], Dict[str, Any]]] = {
    "settled": settled,
    "asked": asked,
    "offered": offered,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": list(ACTIONS)},
            "drained": {"type": "list", "elements": "str", "default": []},
            "servers": {"type": "dict", "default": {}},
            "holder": {"type": "dict"},
            "sources": {"type": "list", "elements": "dict", "default": []},
            "images": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    try:
        result = ACTIONS[module.params["state"]](module.params)
    except (OwnershipError, ApiError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
