#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: support_bundle
short_description: Collect logs and state of nodes on the controller, with secrets masked
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Collects what helps to find the cause of a failure - a node's journals, service states, configuration, network and
    disk state, container logs and, with O(api=true), the API's objects.
  - Run it with O(state=gathered) on every node, then once with O(state=packed), which packs the parts of all nodes into
    one file.
  - Private keys, tokens, passwords and logins are masked on the node, before anything leaves it. Secrets are never
    requested from the API, and the values of pods' environment variables are left out.
  - Changes nothing on the nodes and never reports a change. The files on the controller are written in check mode too.
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  action:
    support: full
    description: >-
      Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
  diff_mode:
    support: none
options:
  path:
    description:
      - The bundle on the controller, a C(.tar.gz) file with mode 0600.
      - Until it is packed, the parts of the nodes are in the directory of this name with C(.parts) at the end.
    type: path
    required: true
  state:
    description:
      - V(gathered) collects the node's part.
      - V(packed) packs all parts into the file and deletes them. Use it with C(run_once).
    type: str
    default: gathered
    choices: [gathered, packed]
  api:
    description: Whether to collect the API's objects too. Set it for one control plane only.
    type: bool
    default: false
  report:
    description: Lines of the file C(report.txt) in the bundle, such as the report of a verification (O(state=packed)).
    type: list
    elements: str
    default: []
  host:
    description: Directory of the node in the bundle. The action plugin sets it to the inventory name.
    type: str
"""

EXAMPLES = r"""
- name: Collect the logs and state of every node
  kubewright.cluster.support_bundle:
    path: /tmp/support.tar.gz
    api: "{{ inventory_hostname == 'cp-1' }}"

- name: Pack the bundle
  kubewright.cluster.support_bundle:
    path: /tmp/support.tar.gz
    state: packed
  run_once: true
"""

RETURN = r"""
path:
  description: The bundle on the controller.
  type: str
  returned: when O(state=packed)
hosts:
  description: Names of the hosts whose parts are in the bundle.
  type: list
  elements: str
  returned: when O(state=packed)
files:
  description: Number of files in the node's part.
  type: int
  returned: when O(state=gathered)
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.support import bundle


def main() -> None:
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
