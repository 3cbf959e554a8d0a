#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_objects
short_description: Keep labels, taints and manifests in a cluster
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Runs on a control plane, as root. In one call it sets labels and taints of nodes, applies manifests with
    server-side apply, and deletes what an earlier run set and the inputs no longer have.
  - Removes only what it set itself. Labels, taints and objects of others are never removed. The record is kept in the
    cluster - an annotation C(kubewright.cluster/owned) on each node, and in C(kube-system) the ConfigMap
    C(kubewright-manifests) with the objects of each manifest, and the Secret of the same name with digests by which a
    later run sees what has changed.
  - An object that somebody else changed or deleted is applied again.
  - Moves one of CoreDNS' pods if all of them run on one node, as they do after the first node has joined. Otherwise the
    loss of that node would stop DNS for the whole cluster.
  - If the API server does not answer, repeats the request for a minute, then fails.
extends_documentation_fragment: [kubewright.cluster.attributes]
options:
  nodes:
    description:
      - Labels and taints by node name. Nodes that are not named here, or are not in the cluster, are left as they are.
      - Each value has C(labels), a map of strings, and C(taints), a list of maps with C(key), C(value) and C(effect).
        If C(taints) is null, the node's taints are left as they are, except those that an earlier run set.
    type: dict
    default: {}
  manifests:
    description:
      - Manifests to apply, each with a unique C(name), its YAML text in C(content), and C(state).
      - With C(state=absent), or without the entry, the objects that the manifest created are deleted.
    type: list
    elements: dict
    default: []
  addons:
    description:
      - For K3s servers, the files in K3s's auto-deploy folder, which the collection wrote before. C(wanted) is a map of
        file names without C(.yaml) to the SHA-256 of the file. C(kept) lists the names of files that are still on a
        server.
      - Waits up to 35 seconds until K3s has applied the wanted files, and warns about those that it has not applied.
      - Deletes the objects of our files that are neither wanted nor kept, because K3s itself does not delete them.
    type: dict
  spread_dns:
    description:
      - Whether to move one of CoreDNS' pods if all of them run on one node and another node can take one.
      - Waits up to a minute for new nodes to become Ready.
    type: bool
    default: true
  revoke_joins:
    description:
      - Whether to delete what nodes joined with in this run of kubeadm - the collection's tokens and the control planes'
        uploaded certificates.
    type: bool
    default: false
  run:
    description: This run, as the cluster's lock names it. While another one holds the lock, nodes that it made
      unschedulable stay so.
    type: str
    default: ""
  kubeconfig:
    description:
      - The administrator's kubeconfig on the control plane. With a path below C(/etc/rancher/k3s) the module runs
        C(k3s kubectl) instead of C(kubectl).
    type: path
    default: /etc/kubernetes/admin.conf
"""

EXAMPLES = r"""
- name: Label a node and apply a manifest
  kubewright.cluster.cluster_objects:
    nodes:
      worker-1:
        labels: {disk: ssd}
        taints: null
    manifests:
      - name: quota
        content: "{{ lookup('ansible.builtin.file', 'quota.yml') }}"

- name: Reserve a node for GPU jobs
  kubewright.cluster.cluster_objects:
    nodes:
      gpu-1:
        labels: {accelerator: nvidia}
        taints:
          - {key: nvidia.com/gpu, value: "true", effect: NoSchedule}
"""

RETURN = r"""
changes:
  description: What was changed, or in check mode would be, one sentence each.
  type: list
  elements: str
  returned: always
  sample: ["manifest quota: v1|ResourceQuota|default|compute"]
"""

import base64
import json
import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.api import lock, owned_objects as objects
from ansible_collections.kubewright.cluster.plugins.module_utils.api.manifests import WAIT_SECONDS, Manifests
from ansible_collections.kubewright.cluster.plugins.module_utils.api.owned_objects import Object
from ansible_collections.kubewright.cluster.plugins.module_utils.base.masking import masked_message
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s import addons as k3s_addons
from ansible_collections.kubewright.cluster.plugins.module_utils.node.paths import TOKEN_DESCRIPTION

# K3s reads its files every 15 seconds.
ADDON_SECONDS = 35
NONE = '{"kind": "List", "items": []}'


class Cluster(Manifests):
    """What else the module keeps in the cluster: nodes' labels and taints, K3s's AddOns, where CoreDNS runs."""

    def keep_dns_spread(self, nodes: list[Object]) -> None:
        """Move a CoreDNS pod if all of them run on one node, once the nodes are Ready: new ones take a moment."""
        deadline = time.monotonic() + (0 if self.module.check_mode else WAIT_SECONDS)
        query = ("-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-dns", "-o", "json")
        while True:
            pods = objects.items_of(self.kubectl(*query)[1])
            if not objects.may_crowd(pods, nodes):
                return
            nodes = objects.items_of(self.kubectl("get", "nodes", "-o", "json")[1])
            if time.monotonic() > deadline or objects.settled(pods, nodes):
                break
            time.sleep(1)
        crowded = objects.crowded(pods, nodes)
        if crowded:
            name = crowded["metadata"]["name"]
            if self.change("move %s away from %s" % (name, crowded["spec"]["nodeName"])):
                self.kubectl("-n", "kube-system", "delete", "pod", "--wait=false", "--ignore-not-found", name)

    def keep_nodes(self, nodes: list[Object]) -> None:
        """Set the labels and taints of the nodes, and remove our dropped ones."""
        wanted = self.module.params["nodes"]
        for node in nodes:
            name = node["metadata"]["name"]
            uncordon = name in wanted and objects.is_cordoned(node) and self.may_uncordon(name)
            patch = objects.node_patch(node, wanted[name], uncordon) if name in wanted else {}
            if patch and self.change("node %s: %s" % (name, json.dumps(patch, sort_keys=True))):
                self.kubectl("patch", "node", name, "--type=merge", "--patch", json.dumps(patch))

    def may_uncordon(self, name: str) -> bool:
        """Return True unless another run works on the cluster: it may evict the pods of the node that it cordoned."""
        query = ("-n", "kube-system", "get", "lease", lock.NAME, "--ignore-not-found", "-o", "json")
        output = self.kubectl(*query)[1]
        run = self.module.params.get("run") or ""
        other = lock.refusal(json.loads(output), run, time.time()) if output.strip() else None
        if other:
            self.module.warn("%s stays unschedulable: %s" % (name, other))
        return other is None

    def addons(self) -> list[Object]:
        """Return the AddOn objects."""
        return objects.items_of(self.kubectl("-n", k3s_addons.NAMESPACE, "get", k3s_addons.RESOURCE, "-o", "json")[1])

    def keep_addons(self, wanted: dict[str, str], kept: list[str]) -> None:
        """Wait until K3s has applied its files, then delete the objects of dropped files, which K3s leaves.

        An object that moved to another file belongs to that file's AddOn by then.
        """
        deadline = time.monotonic() + (0 if self.module.check_mode else ADDON_SECONDS)
        found = self.addons()
        while k3s_addons.late(found, wanted) and time.monotonic() < deadline:
            time.sleep(1)
            found = self.addons()
        late = [] if self.module.check_mode else k3s_addons.late(found, wanted)
        for name in late:
            self.warn_not_applied(name)
        dropped = k3s_addons.dropped(found, wanted, kept)
        if late and dropped:
            # An object that moved to a file that is late is still the dropped file's.
            text = "Nothing of %s is deleted before K3s has applied the other files. Correct them, and run this again."
            self.module.warn(text % ", ".join(name + ".yaml" for name in dropped))
            return
        for name, known in self.objects_of(dropped).items():
            if self.change("addon %s: delete %s" % (name, ", ".join(known) or "its record")):
                for identity in known:
                    self.delete(identity)
                self.kubectl("-n", k3s_addons.NAMESPACE, "delete", "--ignore-not-found", k3s_addons.RESOURCE, name)

    def revoke_joins(self) -> None:
        """Delete the tokens that the collection created, and the certificates that control planes joined with."""
        query = ("get", "secrets", "--field-selector", "type=bootstrap.kubernetes.io/token", "-o", "json")
        found = objects.items_of(self.kubectl("-n", "kube-system", *query)[1])
        ours = base64.b64encode(TOKEN_DESCRIPTION.encode()).decode()
        names = [item["metadata"]["name"] for item in found if (item.get("data") or {}).get("description") == ours]
        self.kubectl("-n", "kube-system", "delete", "secrets", "--ignore-not-found", "kubeadm-certs", *names)

    def warn_not_applied(self, name: str) -> None:
        """Warn about a file that K3s has not applied, with the last event about it."""
        output = self.kubectl("-n", k3s_addons.NAMESPACE, "get", "events", "-o", "json", may_fail=True)[1]
        reason = k3s_addons.last_event(objects.items_of(output or NONE), name) or "K3s has not read it yet"
        self.module.warn("K3s has not applied %s.yaml: %s. It tries again every 15 seconds." % (name, reason))

    def objects_of(self, names: list[str]) -> dict[str, list[str]]:
        """Return the objects that each AddOn created; {} with a warning if they cannot be listed: the next run tries it.

        The first list has no kinds of extension servers that do not answer.
        """
        if not names:
            return {}
        _status, listed, errors = self.kubectl("api-resources", "--verbs=list,delete", "--output=name", may_fail=True)
        kinds = ",".join(k3s_addons.resources(listed))
        query = ("get", kinds, "-A", "-l", k3s_addons.selector(names), "-o", "json")
        status, output, errors = self.kubectl(*query, may_fail=True) if kinds else (1, "", errors)
        if status:
            text = "Nothing of %s is deleted, because its objects cannot be listed: %s. The next run asks again."
            dropped = ", ".join(name + ".yaml" for name in names)
            self.module.warn(text % (dropped, masked_message(errors.strip()) or "no kind is known"))
            return {}
        return k3s_addons.owned(objects.items_of(output), names)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "nodes": {"type": "dict", "default": {}},
            "manifests": {"type": "list", "elements": "dict", "default": []},
            "addons": {"type": "dict"},
            "spread_dns": {"type": "bool", "default": True},
            "revoke_joins": {"type": "bool", "default": False},
            "run": {"type": "str", "default": ""},
            "kubeconfig": {"type": "path", "default": "/etc/kubernetes/admin.conf"},
        },
        supports_check_mode=True,
        no_log=True,  # manifests may hold Secrets: nothing of the parameters goes to the node's journal
    )
    cluster = Cluster(module)
    # Their texts are in no result of the module.
    module.params["manifests"] = [{key: item.get(key) for key in ("name", "state")} for item in cluster.manifests]
    if module.check_mode and not os.path.exists(module.params["kubeconfig"]):
        module.exit_json(changed=True, changes=["no cluster runs yet: everything would be applied"])
    nodes = objects.items_of(cluster.kubectl("get", "nodes", "-o", "json")[1])
    cluster.keep_nodes(nodes)
    cluster.keep_manifests()
    if module.params["addons"]:
        cluster.keep_addons(module.params["addons"]["wanted"], module.params["addons"]["kept"])
    if module.params["revoke_joins"] and not module.check_mode:
        cluster.revoke_joins()
    # After the manifests: one of them may be the network, without which nodes are not Ready.
    if module.params["spread_dns"]:
        cluster.keep_dns_spread(nodes)
    module.exit_json(
        changed=bool(cluster.changes),
        changes=cluster.changes,
        diff={"before": "", "after": "\n".join(cluster.changes) + "\n"} if cluster.changes else {},
    )


if __name__ == "__main__":
    main()
