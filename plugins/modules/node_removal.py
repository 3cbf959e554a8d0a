#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_removal
short_description: Remove nodes from a cluster that stays
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Runs on a control plane that stays; with O(state=left) on the server that goes.
  - While it changes the cluster it holds the cluster's lock, the Lease C(kubewright) in the namespace C(kube-system).
    Another run that holds it fails the module.
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  diff_mode:
    support: none
options:
  state:
    description:
      - V(asked) changes nothing and returns what the cluster knows of the nodes, and what speaks against removing them.
      - V(drained) makes the nodes unschedulable and evicts their pods, within their disruption budgets. It keeps the
        lock for a minute, for V(absent).
      - V(left) runs on a K3s server that goes, which is the only one in O(nodes). It gives away etcd's leadership,
        removes its own etcd member and stops K3s, so that agents use another server at once. Its pods run on.
      - V(absent) removes the nodes' etcd members and Nodes, one node after the other, and releases the lock.
    type: str
    required: true
    choices: [asked, drained, left, absent]
  nodes:
    description:
      - The nodes - C(name) of the Node, C(host) for messages, and C(addresses) of the machine. An etcd member is a
        node's if it has that name, or if an address for its peers is one of these.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the node.
        type: str
        required: true
      host:
        description: Inventory name.
        type: str
        required: true
      addresses:
        description: Addresses of the machine.
        type: list
        elements: str
        default: []
  silent:
    description: Names of nodes that cannot be reached (O(state=asked)). Their kubelets are waited for until they count
      as lost, up to 45 seconds.
    type: list
    elements: str
    default: []
  powered_off:
    description: The machines of O(silent) nodes are switched off, so one missed report of a kubelet is enough, up to 20
      seconds.
    type: bool
    default: false
  timeout:
    description: Longest time to wait for the pods of one node to end, in seconds.
    type: int
    default: 300
  holder:
    description: Who takes the lock - C(name), C(operation) and C(run), and C(dead), a run that has ended without
      releasing it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Remove w1 from the cluster
  kubewright.cluster.node_removal:
    state: absent
    nodes:
      - {name: w1, host: w1, addresses: [192.0.2.21]}
    holder: {name: alice@laptop, operation: remove, run: "1"}
  delegate_to: cp1
"""

RETURN = r"""
cluster:
  description: >-
    What there is - C(nodes), C(members) of etcd (null if the datastore is elsewhere), C(etcd_error), C(blocked) and
    C(lost) by node name, and C(lock), why the lock cannot be taken.
  type: dict
  returned: when O(state=asked)
changes:
  description: What was changed, or in check mode would be, in words.
  type: list
  elements: str
  returned: when O(state=drained), O(state=left) or O(state=absent)
attached:
  description: Volumes that are still attached to the removed nodes.
  type: list
  elements: str
  returned: when O(state=absent)
lock_run:
  description: The run that holds the lock, when that is why the module failed.
  type: str
  returned: when another run holds the lock
"""

import contextlib
import os
import time
from typing import Any, Dict, Iterator, List

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.api import drain, tls
from ansible_collections.kubewright.cluster.plugins.module_utils.api.drain import DrainError
from ansible_collections.kubewright.cluster.plugins.module_utils.api.kubernetes import Api, ApiError
from ansible_collections.kubewright.cluster.plugins.module_utils.api.lock import Holder, Lock, LockError
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s import runner
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s.tokens import K3sError
from ansible_collections.kubewright.cluster.plugins.module_utils.node import services
from ansible_collections.kubewright.cluster.plugins.module_utils.reset import removal
from ansible_collections.kubewright.cluster.plugins.module_utils.reset.removal import RemovalError

# Between two renewals of the lock.
RENEW_SECONDS = 15


class Removal:
    """The nodes of one call, and what was done."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module, self.nodes = module, module.params["nodes"]
        self.api: Api = removal.api()
        holder = module.params["holder"]
        self.lock = Lock(self.api, Holder(holder["name"], holder["operation"], holder["run"]))
        self.dead = str(holder.get("dead") or "")
        self.changes: List[str] = []
        self.renewed = 0.0

    def note(self, sentence: str) -> bool:
        """Record a change. Return True if it has to be made, False in check mode."""
        self.changes.append(sentence)
        return not self.module.check_mode

    def renew(self) -> None:
        """Renew the lock from time to time."""
        if time.monotonic() - self.renewed > RENEW_SECONDS:
            self.lock.take(dead=self.dead)
            self.renewed = time.monotonic()

    @contextlib.contextmanager
    def locked(self, keep: bool) -> Iterator[None]:
        """Hold the lock. keep: it is not released, unless something fails."""
        if self.module.check_mode:
            yield
            return
        self.renew()
        try:
            yield
        except BaseException:
            self.lock.release()
            raise
        if not keep:
            self.lock.release()

    def asked(self) -> Dict[str, Any]:
        """Return what the cluster knows of the nodes. Nothing is changed."""
        found: Dict[str, Any] = {"members": None, "etcd_error": "", "blocked": {}, "lost": {}, "lock": ""}
        found["nodes"] = removal.nodes(self.api, self.module.params["silent"], self.module.params["powered_off"])
        try:
            etcd = removal.client()
            found["members"] = removal.members(etcd) if etcd else None
        except (*tls.NO_ANSWER, KeyError) as error:
            found["etcd_error"] = str(error) or type(error).__name__
        alive = {row["name"] for row in found["nodes"] if row["ready"]} - set(self.module.params["silent"])
        for item in self.nodes:
            if item["name"] in alive:
                obstacles = drain.obstacles(self.api, item["name"])
                found["blocked"][item["name"]], found["lost"][item["name"]] = obstacles
        other = self.lock.held_by_another()
        found["lock"] = str(other) if other and other.run != self.dead else ""
        return {"changed": False, "cluster": found, "lock_run": other.run if other else ""}

    def drained(self) -> Dict[str, Any]:
        """Make the nodes unschedulable, then evict their pods: no pod moves to a node that goes too."""
        with self.locked(keep=True):
            for item in self.nodes:
                found = self.api.get(removal.NODES + item["name"])
                if not (found.get("spec") or {}).get("unschedulable") and self.note("cordon %s" % item["name"]):
                    drain.cordon(self.api, item["name"], self.lock.holder.operation)
            try:
                for item in self.nodes:
                    pods = drain.evictable(drain.pods_on(self.api, item["name"]))
                    if pods and self.note("evict %d pods from %s" % (len(pods), item["name"])):
                        drain.evict(self.api, item["name"], self.module.params["timeout"], self.renew)
            except DrainError:
                # They stay in the cluster: pods may be scheduled there again, unless somebody else decided otherwise.
                for item in self.nodes:
                    drain.uncordon(self.api, item["name"])
                raise
        return {"changed": bool(self.changes), "changes": self.changes}

    def left(self) -> Dict[str, Any]:
        """Let this K3s server leave. It needs no lock: evicting its pods has taken it."""
        member = removal.client()
        may_stop = removal.leave_etcd(member, self.nodes[0], self.note) if member else True
        if may_stop and not services.here().is_down("k3s") and self.note("stop K3s on %s" % self.nodes[0]["host"]):
            runner.stop("k3s")
        return {"changed": bool(self.changes), "changes": self.changes}

    def absent(self) -> Dict[str, Any]:
        """Remove the nodes, one after the other."""
        with self.locked(keep=False):
            etcd = removal.client()
            for item in self.nodes:
                if etcd:
                    removal.remove_member(etcd, item, self.note)
                removal.forget(self.api, item["name"], self.note)
                if not self.module.check_mode:
                    self.renew()
            attached = removal.attachments(self.api, [item["name"] for item in self.nodes])
        return {"changed": bool(self.changes), "changes": self.changes, "attached": attached}


def main() -> None:
    item = {
        "name": {"type": "str", "required": True},
        "host": {"type": "str", "required": True},
        "addresses": {"type": "list", "elements": "str", "default": []},
    }
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["asked", "drained", "left", "absent"]},
            "nodes": {"type": "list", "elements": "dict", "required": True, "options": item},
            "silent": {"type": "list", "elements": "str", "default": []},
            "powered_off": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 300},
            "holder": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    name = os.uname()[1]
    changes: List[str] = []
    try:
        work = Removal(module)
        changes = work.changes
        result = getattr(work, module.params["state"])()
    except LockError as error:
        module.fail_json(msg=str(error), lock_run=error.run, changes=changes)
    except (ApiError, DrainError, K3sError, RemovalError) as error:
        module.fail_json(msg="%s: %s" % (name, error), changes=changes)
    except (*tls.NO_ANSWER, KeyError) as error:
        module.fail_json(msg="%s: etcd does not answer: %s" % (name, error), changes=changes)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
