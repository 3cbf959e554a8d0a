# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data of a cluster are lost on all control planes, and one command brings it back from an archive."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import time
from pathlib import Path

PLAIN = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
# By distribution: kubectl and crictl on the nodes, and what loses the cluster's data.
KUBECTL = {"kubeadm": "kubectl --kubeconfig /etc/kubernetes/admin.conf", "k3s": "k3s kubectl"}
CRICTL = {"kubeadm": "crictl", "k3s": "k3s crictl"}
LOSS = {
    "kubeadm": "rm -rf /var/lib/etcd/member; pkill -9 -x etcd; sleep 3",
    "k3s": "systemctl stop k3s; rm -rf /var/lib/rancher/k3s/server/db",
}
# An external database runs on the worker's machine.
DROPPED = {
    "postgresql": "cd / && runuser -u postgres -- psql -qd k3s -c 'DROP TABLE kine'",
    "mariadb": "mariadb k3s -e 'DROP TABLE kine'",
}
# An etcd that lost its data begins an empty cluster, which serves.
MORE = {"kubeadm": ["-e", "restore_overwrite=true"], "k3s": []}
COMPARED = "configmaps,secrets,deployments.apps,serviceaccounts,clusterroles.rbac.authorization.k8s.io"
# kubeadm makes and signs these while nodes join, and K3s renews these when it starts.
OF_JOINS = ("bootstrap-token-", "cluster-info", "kubeadm-certs", "k3s-serving")
# K3s makes that of the first server again after it has restored a snapshot (pkg/cluster/managed.go).
PASSWORD = ".node-password.k3s"


def inventory():
    return str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent)


def playbook(name, *arguments):
    """Run a playbook. Return {host: number of changes} and the output."""
    command = ["ansible-playbook", f"kubewright.cluster.{name}", "-i", inventory(), *arguments]
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


def lose(worker):
    """Lose the cluster's data."""
    if inputs().get("k3s_datastore_endpoint"):
        on("kube_control_plane", "systemctl stop k3s")
        on(worker, DROPPED[os.environ.get("KUBEWRIGHT_DATABASE") or "postgresql"])
    else:
        on("kube_control_plane", LOSS[distribution()])


def kubectl(host, words):
    return on(host, f"{KUBECTL[distribution()]} {words}")


def objects(host):
    """Return {kind/namespace/name: what it says} of the objects that are compared."""
    # Ansible's output on one line has the line breaks of the objects' own texts in it.
    listed = json.loads(base64.b64decode(kubectl(host, f"get {COMPARED} -A -o json | base64 -w 0")))
    found = {}
    for item in listed["items"]:
        meta = item["metadata"]
        said = {key: value for key, value in item.items() if key not in ("metadata", "status")}
        # The namespace of a verification may still be on its way out.
        again = meta["name"].startswith(OF_JOINS) or meta["name"] == host + PASSWORD
        if not again and not meta.get("namespace", "").startswith("kubewright-verify-"):
            found[f"{item['kind']}/{meta.get('namespace')}/{meta['name']}"] = [meta["uid"], said]
    return found


def ready(host):
    return kubectl(host, "get deployment restored -o jsonpath='{.status.readyReplicas}'").strip()


def test_a_lost_cluster_comes_back(tmp_path):
    planes, worker = groups()["kube_control_plane"]["hosts"], groups()["kube_node"]["hosts"][0]
    first = planes[0]
    kubectl(first, "create configmap before --from-literal=a=b")
    kubectl(first, "create deployment restored --image=registry.k8s.io/pause:3.10.2 --replicas=2")
    kubectl(first, "rollout status deployment restored --timeout=120s")
    playbook("backup", "-e", f"backup_dir={tmp_path}")
    [archive] = tmp_path.glob("*.tar.gz")
    # Not those of a verification, which may still be on their way out.
    listing = CRICTL[distribution()] + " ps -q --label io.kubernetes.pod.namespace="
    containers = f"({listing}default; {listing}kube-system) | sort"
    before, running = objects(first), on(worker, containers)
    kubectl(first, "create configmap after --from-literal=a=b")
    lose(worker)
    name = re.match(r"(.+)-[0-9a-f]{8}-\d{8}T\d{6}Z", archive.name).group(1)
    wanted = ["-e", f"restore_archive={archive}", "-e", f"restore_confirm={name}", *MORE[distribution()]]
    changes, output = playbook("restore", *wanted)
    assert "is healthy: " in output and "as many as were saved" in output
    assert changes[worker] == 0
    assert objects(first) == before
    assert on(worker, containers) == running
    # What watches the API notices changes of now, not only what it knew.
    kubectl(first, "scale deployment restored --replicas=3")
    deadline = time.monotonic() + 60
    while ready(first) != "3":
        assert time.monotonic() < deadline, "the deployment is not scaled"
        time.sleep(1)
    again, output = playbook("site")
    assert set(again.values()) == {0}, output
