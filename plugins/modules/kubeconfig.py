#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeconfig
short_description: Bring the administrator's kubeconfig to the controller
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Reads C(admin.conf) on a control plane and writes a kubeconfig with its certificates on the controller, with mode 0600 and an
    address that the controller reaches.
  - Fails rather than replace the kubeconfig of another cluster, or a file that it did not write.
  - Changes the user's own C(~/.kube/config) only if O(merge_into) asks for it. The old file is kept beside it, and a cluster, user or context of the
    same name that belongs to another cluster (one with another CA) is an error.
extends_documentation_fragment: [kubewright.cluster.attributes.action]
options:
  path:
    description: File to write on the controller. Required if O(state=present).
    type: path
  server:
    description: URL of the API server, as the controller reaches it. Required if O(state=present).
    type: str
  cluster_name:
    description: Name of the cluster, the context and the user in the file. Required if O(state=present).
    type: str
  state:
    description:
      - V(absent) deletes the file that an earlier run wrote, by the inputs kube_kubeconfig and kube_cluster_name of the host. A file that another
        program made, or that is for another cluster, stays; so does every file if C(--limit) leaves a part of the cluster.
    type: str
    choices: [present, absent]
    default: present
  merge_into:
    description: A kubeconfig on the controller into which the cluster is merged as well.
    type: path
  source:
    description: The administrator's kubeconfig on the node.
    type: path
    default: /etc/kubernetes/admin.conf
"""

EXAMPLES = r"""
- name: Bring the kubeconfig
  kubewright.cluster.kubeconfig:
    path: ./kubeconfig
    server: https://10.0.0.11:6443
    cluster_name: prod
"""

RETURN = r"""
path:
  description: The file that was written.
  type: str
  returned: success
"""
