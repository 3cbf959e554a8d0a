#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_members
short_description: Remove etcd members of hosts that leave the cluster
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Runs on a control plane that stays, and removes the members of the given hosts from the cluster's own etcd (stacked
    with kubeadm, embedded in K3s). Hosts without a member are skipped.
  - Fails before the first removal if the members that stay would have no majority that answers.
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  diff_mode:
    support: none
options:
  leaving:
    description:
      - The hosts - C(host), the inventory name for messages, C(name) of the node, and C(addresses) of the machine. A
        member is a host's if it has that node's name, or if an address for its peers is one of these.
    type: list
    elements: dict
    required: true
    suboptions:
      host:
        description: Inventory name.
        type: str
        required: true
      name:
        description: Name of the node.
        type: str
        required: true
      addresses:
        description: Addresses of the machine.
        type: list
        elements: str
        default: []
"""

EXAMPLES = r"""
- name: Remove the member of cp2
  kubewright.cluster.etcd_members:
    leaving:
      - {host: cp2, name: cp2, addresses: [192.0.2.12]}
  delegate_to: cp1
"""

RETURN = r"""
removed:
  description: What was removed, or in check mode would be, in words.
  type: list
  elements: str
  returned: always
"""

import os
from typing import List

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.api import etcd, tls
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths
from ansible_collections.kubewright.cluster.plugins.module_utils.reset import leaving


def main() -> None:
    item = {
        "host": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "addresses": {"type": "list", "elements": "str", "default": []},
    }
    module = AnsibleModule(
        argument_spec={"leaving": {"type": "list", "elements": "dict", "required": True, "options": item}},
        supports_check_mode=True,
    )
    removed: List[str] = []

    def note(sentence: str) -> bool:
        removed.append(sentence)
        return not module.check_mode

    how, name = etcd.access(), os.uname()[1]
    if not how and not isinstance(paths.here(), paths.K3s):
        text = "%s: has no API server's manifest (%s), so its etcd cannot be asked. Nothing was reset."
        module.fail_json(msg=text % (name, paths.API_SERVER_MANIFEST), removed=removed)
    if not how or (os.path.exists(paths.API_SERVER_MANIFEST) and not os.path.exists(paths.MANIFESTS + "/etcd.yaml")):
        module.exit_json(changed=False, removed=removed)  # its etcd is not the cluster's own
    try:
        leaving.leave(etcd.connect(how, timeout=10), module.params["leaving"], note)
    except leaving.LeaveError as error:
        module.fail_json(msg="%s: %s" % (name, error), removed=removed)
    except (*tls.NO_ANSWER, KeyError) as error:
        module.fail_json(msg="%s: etcd does not answer: %s. Nothing was reset." % (name, error), removed=removed)
    module.exit_json(changed=bool(removed), removed=removed)


if __name__ == "__main__":
    main()
