# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests do with the nodes of their scenario: run playbooks and commands, and look at the cluster."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from pathlib import Path

SHARED = Path(__file__).resolve().parents[1]
PLAIN = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
KUBECTL = {"kubeadm": "kubectl --kubeconfig /etc/kubernetes/admin.conf", "k3s": "k3s kubectl"}
CRICTL = {"kubeadm": "crictl", "k3s": "k3s crictl"}
COMPARED = "configmaps,secrets,deployments.apps,serviceaccounts,clusterroles.rbac.authorization.k8s.io"
OF_JOINS = ("bootstrap-token-", "cluster-info", "kubeadm-certs", "k3s-serving")
PASSWORD = ".node-password.k3s"


def inventory():
    return str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent)


def playbook(name, *arguments):
    """Run a playbook of the collection, or that of a file. Return {host: number of changes} and the output."""
    which = name if name.endswith(".yml") else f"kubewright.cluster.{name}"
    command = ["ansible-playbook", which, "-i", inventory(), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=PLAIN)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", done.stdout, re.MULTILINE)
    return {host: int(number) for host, number in counts}, done.stdout


def on(hosts, command):
    """Run a command on hosts as root. Return the output of the last one."""
    argv = ["ansible", hosts, "-i", inventory(), "-b", "-o", "-m", "ansible.builtin.shell", "-a", command]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=PLAIN)
    return done.stdout.rpartition("(stdout) ")[2].replace("\\n", "\n")


def groups():
    return json.loads(subprocess.check_output(["ansible-inventory", "-i", inventory(), "--list"]))


def inputs():
    listed = groups()
    return listed["_meta"]["hostvars"][listed["kube_control_plane"]["hosts"][0]]


def distribution():
    return inputs().get("kube_distribution") or "kubeadm"


def kubectl(host, words):
    return on(host, f"{KUBECTL[distribution()]} {words}")


def listed(host, words):
    """Return the objects that kubectl lists for some words: listed("cp1", "pods -A")."""
    # Ansible's output on one line has the line breaks of the objects' own texts in it.
    return json.loads(base64.b64decode(kubectl(host, f"get {words} -o json | base64 -w 0")))["items"]


def objects(host, *more):
    """Return {kind/namespace/name: what it says} of the objects that are compared.

    host and more: nodes that join again, which get another password.
    """
    found = {}
    for item in listed(host, f"{COMPARED} -A"):
        meta = item["metadata"]
        said = {key: value for key, value in item.items() if key not in ("metadata", "status")}
        # The namespace of a verification may still be on its way out.
        again = meta["name"].startswith(OF_JOINS) or meta["name"] in [name + PASSWORD for name in (host, *more)]
        if not again and not meta.get("namespace", "").startswith("kubewright-verify-"):
            found[f"{item['kind']}/{meta.get('namespace')}/{meta['name']}"] = [meta["uid"], said]
    return found


def containers(host):
    """Return the containers of a node, without those of a verification, which may still be on their way out."""
    listing = CRICTL[distribution()] + " ps -q --label io.kubernetes.pod.namespace="
    return on(host, f"({listing}default; {listing}kube-system) | sort")
