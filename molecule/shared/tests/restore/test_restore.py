# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd's data are lost on all control planes, and one command brings the cluster back from an archive."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path

PLAIN = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf"
COMPARED = "configmaps,secrets,deployments.apps,serviceaccounts,clusterroles.rbac.authorization.k8s.io"
# kubeadm makes and signs these while nodes join.
OF_JOINS = ("bootstrap-token-", "cluster-info", "kubeadm-certs")


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


def objects(host):
    """Return {kind/namespace/name: what it says} of the objects that are compared."""
    listed = json.loads(on(host, f"{KUBECTL} get {COMPARED} -A -o json | tr -d '\\n'"))
    found = {}
    for item in listed["items"]:
        meta = item["metadata"]
        said = {key: value for key, value in item.items() if key not in ("metadata", "status")}
        if not meta["name"].startswith(OF_JOINS):
            found[f"{item['kind']}/{meta.get('namespace')}/{meta['name']}"] = [meta["uid"], said]
    return found


def ready(host):
    return on(host, f"{KUBECTL} get deployment restored -o jsonpath='{{.status.readyReplicas}}'").strip()


def test_a_lost_cluster_comes_back(tmp_path):
    planes, worker = groups()["kube_control_plane"]["hosts"], groups()["kube_node"]["hosts"][0]
    first = planes[0]
    on(first, f"{KUBECTL} create configmap before --from-literal=a=b")
    on(first, f"{KUBECTL} create deployment restored --image=registry.k8s.io/pause:3.10.2 --replicas=2")
    on(first, f"{KUBECTL} rollout status deployment restored --timeout=120s")
    playbook("backup", "-e", f"backup_dir={tmp_path}")
    [archive] = tmp_path.glob("*.tar.gz")
    before, containers = objects(first), on(worker, "crictl ps -q | sort")
    on(first, f"{KUBECTL} create configmap after --from-literal=a=b")
    on("kube_control_plane", "rm -rf /var/lib/etcd/member; pkill -9 -x etcd; sleep 3")
    name = re.match(r"(.+)-[0-9a-f]{8}-\d{8}T\d{6}Z", archive.name).group(1)
    changes, output = playbook("restore", "-e", f"restore_archive={archive}", "-e", f"restore_confirm={name}")
    assert "is healthy: " in output and "as many as in the archive" in output
    assert changes[worker] == 0
    assert objects(first) == before
    assert on(worker, "crictl ps -q | sort") == containers
    # What watches the API notices changes of now, not only what it knew.
    on(first, f"{KUBECTL} scale deployment restored --replicas=3")
    deadline = time.monotonic() + 60
    while ready(first) != "3":
        assert time.monotonic() < deadline, "the deployment is not scaled"
        time.sleep(1)
    again, output = playbook("site")
    assert set(again.values()) == {0}, output
