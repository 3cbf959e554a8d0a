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
  - Runs on a control plane. Sets labels and taints of nodes and applies manifests (server side), in one call.
  - Moves one of CoreDNS' pods where all of them sit on one node, as they do when the first node was alone. The loss of that node would take DNS along.
  - Owns what it sets. A label, a taint or an object that is dropped from the input is taken away; what others set stays.
extends_documentation_fragment: [kubewright.cluster.attributes]
options:
  nodes:
    description: By node name a map with C(labels) (a map) and C(taints) (list of C(key), C(value), C(effect); null leaves taints alone).
    type: dict
    default: {}
  manifests:
    description: Manifests, each with C(name), C(content) (YAML text) and C(state).
    type: list
    elements: dict
    default: []
  addons:
    description:
      - On a K3s server, what its auto-deploy folder is to hold - C(wanted), by file name without its ending the file's SHA-256, and C(kept), names of
        files that are still on a server.
      - Waits half a minute until K3s has applied what is wanted, and warns of what it has not. Deletes the objects of our files that are no
        longer wanted, which K3s itself leaves.
    type: dict
  spread_dns:
    description: Whether to move a CoreDNS pod where all sit on one node. New nodes are waited for then, for a minute at most.
    type: bool
    default: true
  kubeconfig:
    description: Kubeconfig on the control plane.
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
"""

RETURN = r"""
changes:
  description: What was changed, in words.
  type: list
  elements: str
  returned: always
"""

import json
import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.api import owned_objects as objects
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s import addons as k3s_addons

KUBECTL = ["/usr/local/bin/kubectl"]
K3S = ["/usr/local/bin/k3s", "kubectl"]
WAIT_SECONDS = 60
# K3s looks every 15 seconds.
ADDON_SECONDS = 35
NONE = '{"kind": "List", "items": []}'


class Cluster:
    """kubectl with the administrator's rights, and the record of what was changed."""

    def __init__(self, module):
        self.module, self.changes = module, []

    def kubectl(self, *arguments, text=None, may_fail=False):
        config = self.module.params["kubeconfig"]
        argv = [*(K3S if config.startswith("/etc/rancher/k3s/") else KUBECTL), "--kubeconfig", config, *arguments]
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            status, output, errors = self.module.run_command(argv, data=text)
            unreached = status != 0 and objects.unreached(errors)
            if not unreached or time.monotonic() > deadline:
                break
            time.sleep(2)
        # An API that does not answer says nothing of what is there: no caller may take that for "there is none".
        if status and (unreached or not may_fail):
            self.module.fail_json(
                msg="kubectl %s: %s" % (" ".join(arguments[:3]), errors.strip()), changes=self.changes
            )
        return status, output, errors

    def keep_dns_spread(self, nodes):
        """Once the nodes are Ready (new ones take a moment), move a CoreDNS pod where all sit on one node."""
        deadline = time.monotonic() + (0 if self.module.check_mode else WAIT_SECONDS)
        while True:
            pods = objects.items_of(
                self.kubectl("-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-dns", "-o", "json")[1]
            )
            if not objects.may_crowd(pods, nodes):
                return
            nodes = objects.items_of(self.kubectl("get", "nodes", "-o", "json")[1])
            if time.monotonic() > deadline or objects.settled(pods, nodes):
                break
            time.sleep(1)
        crowded = objects.crowded(pods, nodes)
        if crowded:
            self.changes.append("move %s away from %s" % (crowded["metadata"]["name"], crowded["spec"]["nodeName"]))
            if not self.module.check_mode:
                name = crowded["metadata"]["name"]
                self.kubectl("-n", "kube-system", "delete", "pod", "--wait=false", "--ignore-not-found", name)

    def keep_nodes(self, nodes):
        wishes = self.module.params["nodes"]
        for node in nodes:
            name = node["metadata"]["name"]
            patch = objects.node_patch(node, wishes[name]) if name in wishes else {}
            if patch:
                self.changes.append("node %s: %s" % (name, json.dumps(patch, sort_keys=True)))
                if not self.module.check_mode:
                    self.kubectl("patch", "node", name, "--type=merge", "--patch", json.dumps(patch))

    def keep_manifests(self):
        record = self.record()
        wanted = {
            item["name"]: item for item in self.module.params["manifests"] if item.get("state", "present") == "present"
        }
        new = {}
        for name, item in wanted.items():
            new[name] = self.apply(name, item.get("content") or "")
        for name, known in record.items():
            for gone in [
                entry
                for entry in known
                if entry not in new.get(name, []) and not any(entry in others for others in new.values())
            ]:
                self.changes.append("manifest %s: delete %s" % (name, gone))
                if not self.module.check_mode:
                    self.kubectl(
                        "delete", "--ignore-not-found", "--wait=false", *objects.kubectl_target(gone), may_fail=False
                    )
        if new != record and not self.module.check_mode:
            self.write_record(new)

    def addons(self):
        return objects.items_of(self.kubectl("-n", k3s_addons.NAMESPACE, "get", k3s_addons.RESOURCE, "-o", "json")[1])

    def keep_addons(self, wanted, kept):
        """Wait for K3s to apply its files, then delete what it leaves of those that went: an object that moved to another file is that one's by then."""
        deadline = time.monotonic() + (0 if self.module.check_mode else ADDON_SECONDS)
        found = self.addons()
        while k3s_addons.late(found, wanted) and time.monotonic() < deadline:
            time.sleep(1)
            found = self.addons()
        if not self.module.check_mode:
            for name in k3s_addons.late(found, wanted):
                self.tell_late(name)
        gone = k3s_addons.dropped(found, wanted, kept)
        for name, known in self.objects_of(gone).items():
            self.changes.append("addon %s: delete %s" % (name, ", ".join(known) or "its record"))
            if not self.module.check_mode:
                for identity in known:
                    self.kubectl("delete", "--ignore-not-found", "--wait=false", *objects.kubectl_target(identity))
                self.kubectl("-n", k3s_addons.NAMESPACE, "delete", "--ignore-not-found", k3s_addons.RESOURCE, name)

    def tell_late(self, name):
        output = self.kubectl("-n", k3s_addons.NAMESPACE, "get", "events", "-o", "json", may_fail=True)[1]
        why = k3s_addons.last_event(objects.items_of(output or NONE), name) or "it was not looked at yet"
        self.module.warn("K3s has not applied %s.yaml: %s. It tries again every 15 seconds" % (name, why))

    def objects_of(self, names):
        """Of each AddOn the objects that it made; kinds that cannot be listed are passed over."""
        if not names:
            return {}
        kinds = k3s_addons.resources(self.kubectl("api-resources", "--verbs=list,delete", "--output=name", may_fail=True)[1])
        output = self.kubectl("get", ",".join(kinds), "-A", "-l", k3s_addons.selector(names), "-o", "json", may_fail=True)[1]
        return k3s_addons.owned(objects.items_of(output or NONE), names)

    def apply(self, name, content):
        """Apply one manifest. Returns the identities of its objects."""
        flags = ["--server-side", "--force-conflicts", "--field-manager=" + objects.MANAGER]
        status, output, errors = self.kubectl("diff", *flags, "-f", "-", text=content, may_fail=True)
        if status > 1:
            self.module.fail_json(
                msg="manifest %s cannot be applied: %s" % (name, errors.strip()), changes=self.changes
            )
        # Without the API (a client-side dry run) the objects' identities are read from the text itself.
        listed = self.kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", text=content, may_fail=True)[1]
        identities = sorted(objects.identity(item) for item in _documents(listed))
        if status == 1:
            self.changes.append("manifest %s: %s" % (name, ", ".join(identities)))
            if not self.module.check_mode:
                self.kubectl("apply", *flags, "-f", "-", text=content)
        return identities

    def record(self):
        status, output, _errors = self.kubectl(
            "-n", "kube-system", "get", "configmap", objects.CONFIG_MAP, "-o", "json", may_fail=True
        )
        return json.loads(json.loads(output)["data"]["manifests"]) if status == 0 else {}

    def write_record(self, record):
        document = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": objects.CONFIG_MAP, "namespace": "kube-system"},
            "data": {"manifests": json.dumps(record, sort_keys=True)},
        }
        self.kubectl(
            "apply",
            "--server-side",
            "--force-conflicts",
            "--field-manager=" + objects.MANAGER,
            "-f",
            "-",
            text=json.dumps(document),
        )


def _documents(text):
    """The objects of several JSON documents that follow one another."""
    decoder, position, found = json.JSONDecoder(), 0, []
    while text[position:].strip():
        position += len(text[position:]) - len(text[position:].lstrip())
        item, end = decoder.raw_decode(text[position:])
        found += objects.items_of(json.dumps(item))
        position += end
    return found


def main():
    module = AnsibleModule(
        argument_spec={
            "nodes": {"type": "dict", "default": {}},
            "manifests": {"type": "list", "elements": "dict", "default": []},
            "addons": {"type": "dict"},
            "spread_dns": {"type": "bool", "default": True},
            "kubeconfig": {"type": "path", "default": "/etc/kubernetes/admin.conf"},
        },
        supports_check_mode=True,
    )
    if module.check_mode and not os.path.exists(module.params["kubeconfig"]):
        module.exit_json(changed=True, changes=["there is no cluster yet: everything is to be applied"])
    cluster = Cluster(module)
    nodes = objects.items_of(cluster.kubectl("get", "nodes", "-o", "json")[1])
    cluster.keep_nodes(nodes)
    cluster.keep_manifests()
    if module.params["addons"]:
        cluster.keep_addons(module.params["addons"]["wanted"], module.params["addons"]["kept"])
    # After the manifests: the network among them makes the nodes Ready.
    if module.params["spread_dns"]:
        cluster.keep_dns_spread(nodes)
    module.exit_json(
        changed=bool(cluster.changes),
        changes=cluster.changes,
        diff={"before": "", "after": "\n".join(cluster.changes) + "\n"} if cluster.changes else {},
    )


if __name__ == "__main__":
    main()
