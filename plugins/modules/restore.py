#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore
short_description: Restore a cluster from an archive of the playbook backup, or from a control plane that is left
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Runs on the control planes that the plan of the operation C(restore) chose, one state after the other. Everything
    that a control plane had is kept in directories with the time of the run, and nothing is deleted.
  - The archive and all options come from the plan of this run, so that no secret is an argument of a task.
  - Every state can be repeated, and finishes what a run that was killed left half done.
extends_documentation_fragment: [kubewright.cluster.attributes.action]
options:
  state:
    description:
      - V(surveyed) asks what data of etcd the node has, if O(kubewright.cluster.restore#role:main:restore_from) is set.
      - V(prepared) brings the parts of the archive to the node and makes etcd's data of the snapshot, or what K3s makes
        its data of, while the former control plane still runs.
      - V(stopped) stops the control plane and puts its data aside.
      - V(started) puts keys and data in place, starts the control plane, counts the restored objects, and deletes the
        Nodes of machines that are not in the inventory.
      - V(undone) puts back what V(stopped) put aside.
      - The action plugin uses V(begun), which says which parts are missing, V(received), which takes a piece of
        one, and V(copied), which makes them of the node's own data.
    type: str
    required: true
    choices: [surveyed, prepared, stopped, started, undone, begun, received, copied]
  archive:
    description: ID of the archive. The action plugin sets it, as all other options.
    type: str
    default: ""
  manifest:
    description: Manifest of the archive.
    type: dict
  name:
    description: Name of the node in the cluster.
    type: str
    default: ""
  address:
    description: Address of the node in the cluster.
    type: str
    default: ""
  at:
    description: When the run began, for the names of directories.
    type: str
    default: ""
  leader:
    description: Inventory name of the control plane that is restored from the archive.
    type: str
    default: ""
  first:
    description: Whether it is this node.
    type: bool
    default: false
  files:
    description: Files of the user for control planes that join, each with C(path), C(mode), C(owner), C(group) and
      C(content) in base64.
    type: list
    elements: dict
    default: []
  config:
    description: kubeadm's configuration of the node.
    type: str
    default: ""
  data_dir:
    description: K3s's data directory. Empty for kubeadm.
    type: str
    default: ""
  keep:
    description: Names of the nodes of the inventory.
    type: list
    elements: str
    default: []
  replaced:
    description: Names of those that are other machines than in the archive.
    type: list
    elements: str
    default: []
  part:
    description: Name of the part that the piece belongs to.
    type: str
  offset:
    description: Where the piece begins, in bytes.
    type: int
    default: 0
  piece:
    description: The piece, compressed and in base64.
    type: str
  timeout:
    description: Longest time for one step of kubeadm, in seconds.
    type: int
    default: 900
"""

EXAMPLES = r"""
- name: Stop the control plane
  kubewright.cluster.restore:
    state: stopped
"""

RETURN = r"""
found:
  description: What the node's data of etcd are; empty if it has none. C(leader) is true if etcd has one, and then
    nothing else is known. Otherwise C(archive), an ID of the data, C(manifest), as of an archive of them, C(settings),
    the stored configuration of kubeadm, C(members), the other members of etcd, and C(left_out), how many entries of
    the log are left out.
  type: dict
  returned: when O(state=surveyed)
missing:
  description: Parts of the archive that have to be sent (O(state=begun)).
  type: list
  elements: str
  returned: when O(state=begun)
counts:
  description: Number of restored objects by kind; empty if etcd had dropped that revision before they were counted.
  type: dict
  returned: when O(state=started)
wrong:
  description: Kinds of which the archive has another number of objects.
  type: list
  elements: str
  returned: when O(state=started)
deleted:
  description: Nodes that were deleted.
  type: list
  elements: str
  returned: when O(state=started)
seconds:
  description: How long it took until the API answered, in seconds.
  type: float
  returned: when O(state=started)
"""

import base64
import os
from typing import Any, Callable, Dict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.api import tls
from ansible_collections.kubewright.cluster.plugins.module_utils.api.kubernetes import ApiError
from ansible_collections.kubewright.cluster.plugins.module_utils.backup.make import BackupError
from ansible_collections.kubewright.cluster.plugins.module_utils.backup.snapshot import SnapshotError
from ansible_collections.kubewright.cluster.plugins.module_utils.base.masking import masked_message
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s.tokens import K3sError
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.runner import KubeadmError
from ansible_collections.kubewright.cluster.plugins.module_utils.node import ownership, paths
from ansible_collections.kubewright.cluster.plugins.module_utils.reset.removal import RemovalError
from ansible_collections.kubewright.cluster.plugins.module_utils.restore import (
    k3s,
    k3s_etcd,
    k3s_sql,
    k3s_survivor,
    survivor,
)
from ansible_collections.kubewright.cluster.plugins.module_utils.restore.parts import Parts, PartsError
from ansible_collections.kubewright.cluster.plugins.module_utils.restore.start import First
from ansible_collections.kubewright.cluster.plugins.module_utils.restore.stop import ControlPlane, RestoreError
from ansible_collections.kubewright.cluster.plugins.module_utils.sql.database import DatabaseError

Parameters = Dict[str, Any]
WRONG = (
    RestoreError,
    PartsError,
    SnapshotError,
    KubeadmError,
    K3sError,
    RemovalError,
    BackupError,
    DatabaseError,
    ApiError,
    ownership.OwnershipError,
    OSError,
)


def _parts(wanted: Parameters) -> Parts:
    return Parts(wanted["archive"], wanted["manifest"])


def _k3s(wanted: Parameters) -> k3s.First:
    kinds = {"etcd": k3s_etcd.First, "external": k3s_sql.First}
    kind = kinds.get(wanted["manifest"]["datastore"]["kind"], k3s.First)
    return kind(wanted["name"], wanted["data_dir"], _parts(wanted), wanted["manifest"])


def _first(wanted: Parameters) -> First:
    return First(wanted["name"], _parts(wanted), wanted["manifest"])


def surveyed(wanted: Parameters) -> dict[str, Any]:
    """Return what data of etcd this node has."""
    here = paths.here()
    own = k3s_survivor.Survivor(here.data) if isinstance(here, paths.K3s) else survivor.Survivor()
    return {"changed": False, "found": own.survey()}


def copied(wanted: Parameters) -> dict[str, Any]:
    """Make the parts of an archive from this node's data."""
    if wanted["data_dir"]:
        found = k3s_survivor.Survivor(wanted["data_dir"]).copy(wanted["archive"], wanted["timeout"])
        return {"changed": True, "found": found, "files": {}}
    found = survivor.Survivor().copy(wanted["archive"])
    files = survivor.files_of(wanted["archive"], found["manifest"])
    contents = {name: base64.b64encode(data).decode() for name, data in files.items()}
    return {"changed": True, "found": found, "files": contents}


def begun(wanted: Parameters) -> dict[str, Any]:
    """Return which parts are missing."""
    return {"changed": True, "missing": _parts(wanted).begin()}


def received(wanted: Parameters) -> dict[str, Any]:
    """Take a piece of a part."""
    _parts(wanted).receive(wanted["part"], wanted["offset"], wanted["piece"])
    return {"changed": True}


def prepared(wanted: Parameters) -> dict[str, Any]:
    """Make etcd's data, or K3s's database, beside the former ones."""
    if wanted["data_dir"]:
        _k3s(wanted).prepare(wanted["at"])
        return {"changed": True}
    _first(wanted).prepare(wanted["address"], wanted["config"], wanted["at"], wanted["timeout"])
    return {"changed": True}


def stopped(wanted: Parameters) -> dict[str, Any]:
    """Stop the control plane and put its data aside."""
    if wanted["data_dir"]:
        server = k3s.Server(wanted["name"], wanted["data_dir"])
        if wanted["first"] and not server.journal.read():
            k3s_survivor.Survivor(wanted["data_dir"]).refuse_changed(wanted["archive"])
        return {"changed": server.stop(wanted["archive"], wanted["at"], wanted["leader"])}
    files = [
        {**each, "mode": int(each["mode"], 8), "content": base64.b64decode(each["content"])} for each in wanted["files"]
    ]
    given = (wanted["archive"], wanted["at"], wanted["leader"], wanted["first"], files)
    return {"changed": ControlPlane(wanted["name"]).stop(*given)}


def started(wanted: Parameters) -> dict[str, Any]:
    """Put keys and data in place, and start."""
    if wanted["data_dir"]:
        return {"changed": True, **_k3s(wanted).start(wanted["keep"], wanted["replaced"], wanted["timeout"])}
    found = _first(wanted).start(wanted["config"], wanted["keep"], wanted["replaced"], wanted["timeout"])
    return {"changed": True, **found}


def undone(wanted: Parameters) -> dict[str, Any]:
    """Put everything back."""
    if wanted["data_dir"]:
        return {"changed": k3s.Server(wanted["name"], wanted["data_dir"]).undo(k3s_sql.put_back)}
    return {"changed": ControlPlane(wanted["name"]).undo()}


STATES: dict[str, Callable[[Parameters], dict[str, Any]]] = {
    "surveyed": surveyed,
    "copied": copied,
    "begun": begun,
    "received": received,
    "prepared": prepared,
    "stopped": stopped,
    "started": started,
    "undone": undone,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": list(STATES)},
            "archive": {"type": "str", "default": ""},
            "manifest": {"type": "dict"},
            "name": {"type": "str", "default": ""},
            "address": {"type": "str", "default": ""},
            "at": {"type": "str", "default": ""},
            "leader": {"type": "str", "default": ""},
            "first": {"type": "bool", "default": False},
            "files": {"type": "list", "elements": "dict", "default": [], "no_log": True},
            "config": {"type": "str", "default": "", "no_log": True},
            "data_dir": {"type": "str", "default": ""},
            "keep": {"type": "list", "elements": "str", "default": []},
            "replaced": {"type": "list", "elements": "str", "default": []},
            "part": {"type": "str"},
            "offset": {"type": "int", "default": 0},
            "piece": {"type": "str", "no_log": True},
            "timeout": {"type": "int", "default": 900},
        },
        required_if=[
            ("state", "begun", ["manifest"]),
            ("state", "received", ["manifest", "part", "piece"]),
            ("state", "prepared", ["manifest"]),
            ("state", "started", ["manifest"]),
        ],
        supports_check_mode=True,
    )
    if module.check_mode and module.params["state"] != "surveyed":
        module.exit_json(changed=True)
    try:
        # What outlives this process, such as K3s that makes etcd's data, keeps the lock.
        with ownership.lock_node(inherited=True):
            result = STATES[module.params["state"]](module.params)
    except (*WRONG, *tls.NO_ANSWER) as error:
        text = "%s: %s" % (os.uname()[1], masked_message(str(error) or type(error).__name__))
        module.fail_json(msg=text)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
