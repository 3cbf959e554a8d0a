#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_reset
short_description: Leave a host as it was before the collection came
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Stops the node, ends its pods, and takes away what the collection and the cluster made there - programs, files, services, data, the cluster's own
    chains, tables, links and routes. Files that stood there before come back, swap and kernel settings too.
  - Only what the record of ownership (C(/etc/kubewright/owned.json)) names goes. No firewall is flushed and no interface of the host is touched.
  - A host on which the collection made nothing is left alone, whoever's cluster runs there.
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  diff_mode:
    support: none
options:
  keep_images:
    description: Whether containerd's images and data stay, for a quick new install.
    type: bool
    default: false
  keep_programs:
    description: Whether the installed programs stay, for a quick new install.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Reset the node
  kubewright.cluster.host_reset:
"""

RETURN = r"""
removed:
  description: What went (or in check mode would go), in words.
  type: list
  elements: str
  returned: always
left:
  description: What was left, each with C(path) and C(why).
  type: list
  elements: dict
  returned: always
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.node import ownership as owned
from ansible_collections.kubewright.cluster.plugins.module_utils.reset.host import Cleanup


def main():
    module = AnsibleModule(
        argument_spec={
            "keep_images": {"type": "bool", "default": False},
            "keep_programs": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    lock = None if module.check_mode else owned.take_turn()
    work = Cleanup(module.check_mode, module.params["keep_images"], module.params["keep_programs"])
    if not work.anything():
        if os.path.exists("/etc/kubernetes/kubelet.conf"):
            module.warn(
                "%s: the cluster node here was not made by this collection and is left alone; reset it by its own means (kubeadm reset)"
                % os.uname()[1]
            )
        module.exit_json(changed=False, removed=[], left=[])
    try:
        work.all()
    except OSError as error:
        module.fail_json(
            msg="%s: %s: %s; run the reset again when that is mended" % (os.uname()[1], error.filename, error.strerror),
            removed=work.removed,
            left=work.left,
        )
    if lock:
        lock.close()
    for item in work.left:
        module.warn("%s: %s was left: %s" % (os.uname()[1], item["path"], item["why"]))
    module.exit_json(changed=bool(work.removed), removed=work.removed, left=work.left)


if __name__ == "__main__":
    main()
