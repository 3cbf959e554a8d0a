#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: support_bundle
short_description: Bring what helps to find a failure's cause to the controller, secrets masked
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Gathers a node's journals, states, configurations, container logs and, where wanted, the API's objects, and packs those of all nodes into one file.
  - Private keys, tokens, passwords and logins are masked on the node, before anything leaves it. Secret objects are never asked for, values of
    pods' environments are left out.
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  action:
    support: full
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
  diff_mode:
    support: none
options:
  path:
    description: The file on the controller, of mode 0600. Its parts wait beside it until it is packed.
    type: path
    required: true
  state:
    description: V(gathered) brings the node's part, V(packed) makes the file of all parts (run that once).
    type: str
    default: gathered
    choices: [gathered, packed]
  api:
    description: Whether this node is asked for the API's objects too. One control plane is enough.
    type: bool
    default: false
  report:
    description: Lines for the file C(report.txt) (O(state=packed)).
    type: list
    elements: str
    default: []
  host:
    description: Name of the node's directory in the bundle. Set by the action plugin.
    type: str
"""

EXAMPLES = r"""
- name: Gather
  kubewright.cluster.support_bundle:
    path: /tmp/support.tar.gz

- name: Pack
  kubewright.cluster.support_bundle:
    path: /tmp/support.tar.gz
    state: packed
  run_once: true
"""

RETURN = r"""
path:
  description: The file on the controller.
  type: str
  returned: when O(state=packed)
hosts:
  description: Hosts whose part is in it.
  type: list
  elements: str
  returned: when O(state=packed)
files:
  description: How many files the node's part has.
  type: int
  returned: when O(state=gathered)
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.support import bundle


def main():
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "default": "gathered", "choices": ["gathered", "packed"]},
            "api": {"type": "bool", "default": False},
            "report": {"type": "list", "elements": "str", "default": []},
            "host": {"type": "str"},
        },
        supports_check_mode=True,
    )
    parts = bundle.gather(module.params["api"])
    module.exit_json(changed=False, files=len(parts), archive=bundle.archive(parts, module.params["host"] or "node"))


if __name__ == "__main__":
    main()
