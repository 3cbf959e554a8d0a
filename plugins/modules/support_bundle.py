#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: support_bundle
short_description: Gather a node's logs and states, secrets masked
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Returns as one text what helps to find the cause of a failure - journals of the services, states, events, configurations.
  - Private keys, tokens, passwords and logins are masked on the node, before anything leaves it. Secret objects are never read.
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  diff_mode:
    support: none
options: {}
"""

EXAMPLES = r"""
- name: Gather
  kubewright.cluster.support_bundle:
  register: bundle
"""

RETURN = r"""
text:
  description: Commands and their output.
  type: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils import support


def main():
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(changed=False, text=support.bundle())


if __name__ == "__main__":
    main()
