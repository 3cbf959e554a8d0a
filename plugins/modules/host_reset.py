#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_reset
short_description: Bring a host back to its state before the collection
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Stops the node, ends its pods, and removes what the collection and the cluster made there - programs, files,
    services, data, and the cluster's own iptables chains, nftables tables, interfaces and routes. Files that existed
    before are restored, and so are swap and kernel settings.
  - Removes only what the record of ownership (C(/etc/kubewright/owned.json)) names, and fails without a change if the
    record is damaged. No firewall is flushed and no interface of the host is touched.
  - Does not change a host on which the collection made nothing, even if another cluster runs there.
extends_documentation_fragment: [kubewright.cluster.attributes]
attributes:
  diff_mode:
    support: none
options:
  keep_images:
    description: Keep the container runtime's images and data, for a quick new install.
    type: bool
    default: false
  keep_programs:
    description: Keep the installed programs, for a quick new install.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Reset the node
  kubewright.cluster.host_reset:
"""

RETURN = r"""
removed:
  description: What was removed or restored, or in check mode would be, in words.
  type: list
  elements: str
  returned: always
left:
  description: What could not be removed, each with C(path) and C(why).
  type: list
  elements: dict
  returned: always
  sample: [{path: /var/lib/kubelet, why: /var/lib/kubelet/data is mounted there}]
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.node import ownership, paths
from ansible_collections.kubewright.cluster.plugins.module_utils.node.ownership import OwnershipError
from ansible_collections.kubewright.cluster.plugins.module_utils.reset.host import Cleanup


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "keep_images": {"type": "bool", "default": False},
            "keep_programs": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    name, lock = os.uname()[1], None
    try:
        lock = None if module.check_mode else ownership.lock_node()
        work = Cleanup(module.check_mode, module.params["keep_images"], module.params["keep_programs"])
    except OwnershipError as error:
        module.fail_json(msg="%s: %s" % (name, error))
    if not work.anything():
        if os.path.exists(paths.KUBELET_CONF):
            module.warn(
                "%s: the collection did not make the cluster node here, so nothing was changed; "
                "reset it with the tool that made it (such as kubeadm reset)" % name
            )
        module.exit_json(changed=False, removed=[], left=[])
    try:
        work.all()
    except OSError as error:
        reason = ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)
        module.fail_json(
            msg="%s: %s. Fix that, then run reset again." % (name, reason), removed=work.removed, left=work.left
        )
    if lock:
        lock.close()
    for item in work.left:
        module.warn("%s: %s was left: %s" % (name, item["path"], item["why"]))
    module.exit_json(changed=bool(work.removed), removed=work.removed, left=work.left)


if __name__ == "__main__":
    main()
