#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_maintenance
short_description: Take one running node out of service for a change, and return it
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Runs on a healthy control plane other than the node, or on the node itself if it is the only one.
  - Between V(entered) and V(left) the run holds the cluster's lock, the Lease C(kubewright) in the namespace
    C(kube-system). Another run that holds it fails the module.
  - The API endpoint is not part of it, see M(kubewright.cluster.endpoint_server).
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  diff_mode:
    support: none
options:
  state:
    description:
      - V(entered) takes the lock, evicts the node's pods (O(drain)) and gives etcd's leadership to another member. It
        can be repeated. Nothing of the node is changed if it fails, and the lock is released.
      - V(left) makes the node schedulable, if the collection made it unschedulable, and releases the lock (O(release)).
    type: str
    required: true
    choices: [entered, left]
  name:
    description: Name of the node.
    type: str
    required: true
  drain:
    description: Whether to make the node unschedulable and evict its pods, within their disruption budgets, after a
      dry run.
    type: bool
    default: false
  force:
    description: Whether pods may be lost that no controller creates again.
    type: bool
    default: false
  timeout:
    description: Longest time to wait for the pods to end, in seconds.
    type: int
    default: 300
  hold:
    description: For how long the lock is kept while the node is worked on, in seconds. After that another run may take
      it.
    type: int
    default: 900
  release:
    description: Whether to release the lock (O(state=left)).
    type: bool
    default: true
  holder:
    description: Who takes the lock - C(name), C(operation) and C(run), and C(dead), a run that has ended without
      releasing it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Take w1 out of service
  kubewright.cluster.node_maintenance:
    state: entered
    name: w1
    drain: true
    holder: {name: alice@laptop, operation: upgrade, run: "1"}
  delegate_to: cp1
"""

RETURN = r"""
changes:
  description: What was changed, or in check mode would be, in words.
  type: list
  elements: str
  returned: always
lock_run:
  description: The run that holds the lock, when that is why the module failed.
  type: str
  returned: when another run holds the lock
"""

import os
from typing import List

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.api import maintenance, tls
from ansible_collections.kubewright.cluster.plugins.module_utils.api.drain import DrainError
from ansible_collections.kubewright.cluster.plugins.module_utils.api.kubernetes import ApiError
from ansible_collections.kubewright.cluster.plugins.module_utils.api.lock import Holder, Lock, LockError
from ansible_collections.kubewright.cluster.plugins.module_utils.api.maintenance import Maintenance, MaintenanceError
from ansible_collections.kubewright.cluster.plugins.module_utils.reset import removal


class NoLock(Lock):
    """In check mode the lock is only looked at."""

    def take(self, seconds: int = 0, dead: str = "") -> None:
        """Raise LockError if another run has it."""
        other = self.held_by_another()
        if other and other.run != dead:
            raise other

    def release(self) -> None:
        """Do nothing."""


def work_on(module: AnsibleModule, changes: List[str]) -> None:
    """Take the node out of service, or return it."""
    wanted, holder = module.params, module.params["holder"]

    def note(sentence: str) -> bool:
        changes.append(sentence)
        return not module.check_mode

    api = removal.api()
    who = Holder(holder["name"], holder["operation"], holder["run"])
    lock = NoLock(api, who) if module.check_mode else Lock(api, who)
    dead = str(holder.get("dead") or "")
    work = Maintenance(api, removal.client(), wanted["name"], lock, note, wanted["hold"], dead)
    if wanted["state"] == "entered":
        lock.take(wanted["hold"], dead)
        maintenance.entered(work, wanted["drain"], wanted["timeout"], wanted["force"])
    else:
        maintenance.left(work, wanted["release"])


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["entered", "left"]},
            "name": {"type": "str", "required": True},
            "drain": {"type": "bool", "default": False},
            "force": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 300},
            "hold": {"type": "int", "default": 900},
            "release": {"type": "bool", "default": True},
            "holder": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    name = os.uname()[1]
    changes: List[str] = []
    try:
        work_on(module, changes)
    except LockError as error:
        module.fail_json(msg=str(error), lock_run=error.run, changes=changes)
    except (ApiError, DrainError, MaintenanceError) as error:
        module.fail_json(msg="%s: %s" % (name, error), changes=changes)
    except (*tls.NO_ANSWER, KeyError) as error:
        module.fail_json(msg="%s: etcd does not answer: %s" % (name, error), changes=changes)
    module.exit_json(changed=bool(changes), changes=changes)


if __name__ == "__main__":
    main()
