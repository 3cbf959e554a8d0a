#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup
short_description: Back up a cluster to a verified archive on the controller
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Runs on the control plane that the plan of the operation C(backup) chose. Saves a snapshot of etcd with the keys and
    configurations that a restore needs, restores the snapshot to a scratch etcd, and compares that with the cluster.
  - With K3s on embedded etcd it reads the snapshot from its file, and compares that with the cluster. With K3s on
    SQLite, PostgreSQL, MySQL or MariaDB it copies the database while it serves, and compares the copy with it.
  - Brings the archive to the controller, where it is examined before it gets its name. Nothing stays on the node.
  - Older archives of the same cluster are deleted only after that.
  - All options come from the playbook's variables, so that no secret is an argument of a task.
extends_documentation_fragment: [kubewright.cluster.attributes.action]
options:
  state:
    description:
      - V(created) makes the archive. Action plugins use the others - V(read) returns a piece of it, V(absent)
        deletes it on the node, V(forgotten) deletes the record of scheduled backups from the cluster.
    type: str
    default: created
    choices: [created, read, absent, forgotten]
  name:
    description: Name of the cluster. The action plugin sets it.
    type: str
  path:
    description: The archive on the node. The action plugin sets it.
    type: path
  offset:
    description: Where the piece begins, in bytes. The action plugin sets it.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Back up the cluster
  kubewright.cluster.backup:
  run_once: true
  delegate_to: "{{ lookup('kubewright.cluster.planned', 'operation').source }}"
"""

RETURN = r"""
path:
  description: The archive on the controller.
  type: str
  returned: success
size:
  description: Size of the archive, in bytes.
  type: int
  returned: success
manifest:
  description: What is in the archive, without secrets - cluster, versions, nodes, counts, digests of all parts.
  type: dict
  returned: success
deleted:
  description: Paths of older archives that were deleted.
  type: list
  elements: str
  returned: success
destinations:
  description: What became of the archive at each destination of O(kubewright.cluster.kube#role:main:kube_backup).
  type: list
  elements: dict
  returned: when an archive was made
seconds:
  description: How long each part of the work on the node took, in seconds.
  type: dict
  sample: {collect: 0.4, snapshot: 2.1, pack: 0.6}
  returned: when an archive was made
"""

import base64
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.api import backup_record
from ansible_collections.kubewright.cluster.plugins.module_utils.api.kubernetes import Api, ApiError, local_server
from ansible_collections.kubewright.cluster.plugins.module_utils.backup import make, make_k3s
from ansible_collections.kubewright.cluster.plugins.module_utils.node import ownership

# A piece of the archive in one answer: in base64 and JSON it takes a few times that in memory.
PIECE = 8 << 20


def piece(path: str, offset: int) -> str:
    """Return a piece of an archive in base64. Raise BackupError if it is not one of ours."""
    place = os.path.dirname(path)
    if os.path.dirname(place) != make.PLACES or not os.path.basename(place).startswith(make.PREFIX):
        raise make.BackupError("%s is not an archive that this module made" % path)
    with open(path, "rb") as stream:
        stream.seek(offset)
        return base64.b64encode(stream.read(PIECE)).decode("ascii")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "default": "created", "choices": ["created", "read", "absent", "forgotten"]},
            "name": {"type": "str"},
            "path": {"type": "path"},
            "offset": {"type": "int", "default": 0},
        },
        required_if=[("state", "created", ["name"]), ("state", "read", ["path"])],
        supports_check_mode=True,
    )
    wanted = module.params
    if module.check_mode:
        module.exit_json(changed=True)
    try:
        if wanted["state"] == "forgotten":
            module.exit_json(changed=backup_record.forget(Api([local_server()])))
        with ownership.lock_node():
            if wanted["state"] == "created":
                module.exit_json(changed=True, **make_k3s.of_this_node(wanted["name"]))
            if wanted["state"] == "read":
                module.exit_json(changed=False, piece=piece(wanted["path"], wanted["offset"]))
            make.clean()
            module.exit_json(changed=True)
    except (make.BackupError, ownership.OwnershipError, ApiError, OSError) as error:
        module.fail_json(msg="%s: no backup was made: %s" % (os.uname()[1], error))


if __name__ == "__main__":
    main()
