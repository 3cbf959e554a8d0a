#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: endpoint_server
short_description: Take control planes out of a node's API endpoint for a while
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Runs on a node with the collection's API endpoint (HAProxy, endpoint modes local and vip) and uses its admin socket.
    On other nodes it does nothing.
  - The state lasts until the endpoint is reloaded. The configuration is not changed.
  - The only control plane stays, because clients could not go to another one.
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  diff_mode:
    support: none
options:
  names:
    description: Node names of the control planes.
    type: list
    elements: str
    required: true
  state:
    description:
      - V(drained) sends no new connections to them and ends those that exist, so that clients go to another control
        plane at once instead of waiting for one that stops.
      - V(ready) uses them again, as far as their health checks pass.
    type: str
    choices: [drained, ready]
    default: drained
"""

EXAMPLES = r"""
- name: Take cp2 out of this node's API endpoint
  kubewright.cluster.endpoint_server:
    names: [cp2]
"""

RETURN = r"""
changed_names:
  description: Node names of the control planes whose state changed, or in check mode would change.
  type: list
  elements: str
  sample: [cp1]
  returned: always
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.node import haproxy


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "default": "drained", "choices": ["drained", "ready"]},
        },
        supports_check_mode=True,
    )
    names, drained = module.params["names"], module.params["state"] == "drained"
    if not haproxy.exists():
        module.exit_json(changed=False, changed_names=[])
    try:
        if module.check_mode:
            other = {server.name for server in haproxy.servers() if server.drained is not drained}
            changed = [name for name in names if name in other]
        else:
            changed = [name for name in names if (haproxy.drain if drained else haproxy.ready)(name)]
    except OSError as error:
        # A proxy that does not run has no connections to lose.
        module.warn("%s: the API endpoint's admin socket does not answer: %s" % (os.uname()[1], error))
        changed = []
    module.exit_json(changed=bool(changed), changed_names=changed)


if __name__ == "__main__":
    main()
