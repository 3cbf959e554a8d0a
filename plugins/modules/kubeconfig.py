#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeconfig
short_description: Fetch the administrator's kubeconfig to the controller
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Reads the administrator's kubeconfig on a control plane, and writes a kubeconfig with its certificates on the
    controller, with mode 0600 and an API server address that the controller can reach.
  - Fails instead of replacing the kubeconfig of another cluster, or a file that it did not write.
  - Changes another kubeconfig, such as C(~/.kube/config), only if O(merge_into) names it. A copy of that file with the
    time in its name is kept beside it. A cluster, user or context of the same name that belongs to another cluster (one
    with another CA) is an error.
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
      - V(present) writes the file, and merges it if O(merge_into) is set.
      - V(absent) deletes the file that an earlier run wrote for this cluster, and removes the cluster from
        C(~/.kube/config) if it was merged. The host's inputs C(kube_kubeconfig) and C(kube_cluster_name) are used
        instead of the other options.
      - V(absent) keeps a file of another program or for another cluster. It changes nothing if the run has C(--limit),
        because the rest of the cluster may still exist.
    type: str
    choices: [present, absent]
    default: present
  merge_into:
    description: A kubeconfig on the controller to merge the cluster into as well. Its current context stays as it is.
    type: path
  source:
    description: The administrator's kubeconfig on the node. K3s has it at C(/etc/rancher/k3s/k3s.yaml).
    type: path
    default: /etc/kubernetes/admin.conf
"""

EXAMPLES = r"""
- name: Fetch the kubeconfig
  kubewright.cluster.kubeconfig:
    path: ./kubeconfig
    server: https://10.0.0.11:6443
    cluster_name: prod

- name: Fetch the kubeconfig of a K3s cluster, and add it to the user's own
  kubewright.cluster.kubeconfig:
    path: ./kubeconfig
    server: https://10.0.0.21:6443
    cluster_name: edge
    source: /etc/rancher/k3s/k3s.yaml
    merge_into: ~/.kube/config
"""

RETURN = r"""
path:
  description: The file that was written or deleted.
  type: str
  returned: success, unless there was nothing to delete
"""
