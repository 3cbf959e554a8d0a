# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try on the lab's nodes what must not hurt a running cluster: nothing is lost, and one message names what is wrong.

    python benchmarks/trials.py renamed | data-directory | silent-api | closed-port | two-runs
    python benchmarks/trials.py --distribution k3s …

The lab must be up (tests/lab/lab up). Each command creates its own nodes (cluster "bench"), prints what it saw line by
line, and removes the nodes at the end. It ends with an error if something was not as it must be.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import yaml
from bench import CACHE, DISTRIBUTION, INVENTORY, ROOT, change, make, nodes, playbook, recap, remove, ssh, went_well
from removal import processes, voters

NAMES = ("bench-cp1", "bench-cp2", "bench-cp3", "bench-w1")
FAILURES: list[str] = []


def saw(what, good, text=""):
    """Print whether something was as it must be. text: what was seen, of which the end is kept."""
    print("%s: %s" % (what, "ok" if good else "FAILED"), flush=True)
    if not good:
        FAILURES.append(what)
        print(text[-3000:], flush=True)


def running(*hosts, control_planes=3, workers=1):
    """Make a cluster. hosts: the only ones that the first run knows."""
    make(control_planes, workers, {"k3s_datastore": "etcd"} if DISTRIBUTION[0] == "k3s" else {})
    whole = INVENTORY.read_text()
    for host in NAMES if hosts else ():
        if host not in hosts:
            of_hosts(lambda rows, name=host: rows.pop(name, None))
    playbook("site")
    INVENTORY.write_text(whole)


def of_hosts(edit):
    """Edit the hosts of both groups in the inventory."""
    inventory = yaml.safe_load(INVENTORY.read_text())
    for group in ("kube_control_plane", "kube_node"):
        edit(inventory["all"]["children"][group]["hosts"])
    INVENTORY.write_text(yaml.safe_dump(inventory, sort_keys=False))


def with_variable(host, **variables):
    """Set variables of one host, or remove those that are None."""

    def edit(rows):
        if host in rows:
            kept = {**(rows[host] or {}), **variables}
            rows[host] = {name: value for name, value in kept.items() if value is not None}

    of_hosts(edit)


def refused(what, *words):
    """Run site, which must refuse with these words, change nothing, and leave all processes."""
    before = processes(NAMES)
    seconds, output = playbook("site", check=False)
    flat = " ".join(output.split())
    missing = [word for word in words if word not in flat]
    changed = sum(row["changed"] for row in recap(output).values())
    saw("%s, %.0f s: refused in words" % (what, seconds), not missing and not went_well(output), output)
    saw("%s: nothing changed" % what, not changed and processes(NAMES) == before, output)


def healthy(what):
    """Run site, which must find a healthy cluster and change nothing."""
    seconds, output = playbook("site", check=False)
    changed = sum(row["changed"] for row in recap(output).values())
    saw("%s, %.0f s: healthy, nothing to do" % (what, seconds), went_well(output) and not changed, output)


def drop(host, port):
    """Drop what arrives at a port of a node, from the node itself too."""
    rules = "add table inet trial; add chain inet trial in { type filter hook input priority -300; }; "
    done = ssh(host, "nft '%sadd rule inet trial in tcp dport %d drop'" % (rules, port))
    if done.returncode:  # the node has no nft
        done = ssh(host, "iptables -I INPUT -p tcp --dport %d -j DROP" % port)
    if done.returncode:
        sys.exit("%s: the port is not closed: %s" % (host, done.stderr))


def undrop(host, port):
    ssh(host, "nft delete table inet trial || iptables -D INPUT -p tcp --dport %d -j DROP" % port)


def renamed():
    """A control plane and a worker get other names."""
    running()
    for host in ("bench-cp2", "bench-w1"):
        with_variable(host, kube_node_name="other")
        refused("%s renamed" % host, "is the node %s of the cluster" % host, "kube_node_name: %s" % host)
        with_variable(host, kube_node_name=None)
    healthy("names set back")


def data_directory():
    """The directory of the datastore is moved in the inventory."""
    running()
    moved, word = {"kube_data_dir": "/srv/k3s"}, "/srv/k3s"
    if DISTRIBUTION[0] == "kubeadm":
        moved, word = {"kubeadm_cluster_config": {"etcd": {"local": {"dataDir": "/srv/etcd"}}}}, "local.dataDir"
    former = INVENTORY.read_text()
    change(moved)
    refused("data directory moved", word)
    INVENTORY.write_text(former)
    healthy("data directory set back")


def silent_api():
    """One API server of three does not answer. First a setting of the two others changes, then one of all three."""
    running()
    drop("bench-cp2", 6443)
    _seconds, output = playbook("plan", check=False)
    flat = " ".join(output.split())
    saw("plan names the silent API server", "bench-cp2: its API server does not answer" in flat, output)
    former = INVENTORY.read_text()
    setting = {"kubelet_config": {"maxPods": 100}}
    if DISTRIBUTION[0] == "k3s":
        setting = {"k3s_config": {"kube-apiserver-arg": ["audit-log-maxage=7"]}}
    for host in ("bench-cp1", "bench-cp3"):
        with_variable(host, **setting)
    refused("a setting of the others", "while the API server of bench-cp2 does not answer")
    INVENTORY.write_text(former)
    change(setting, "kube_control_plane")
    others = [host for host in NAMES if host != "bench-cp2"]
    before = processes(others)
    seconds, output = playbook("site", check=False)
    flat = " ".join(output.split())
    named = "bench-cp2 is not healthy" in flat or "bench-cp2: k3s does not serve" in flat
    saw("a setting of all, %.0f s: ends at bench-cp2" % seconds, named and not went_well(output), output)
    saw("the others are not changed", processes(others) == before)
    undrop("bench-cp2", 6443)
    time.sleep(10)
    seconds, output = playbook("site", check=False)
    saw("API server back, %.0f s: all are changed" % seconds, went_well(output), output)
    healthy("run after it")


def closed_port():
    """Two control planes join, and the first of them cannot be reached by etcd's other members."""
    running("bench-cp1", "bench-w1")
    drop("bench-cp2", 2380)
    before = ssh("bench-cp3", "ls -A /etc/kubernetes /var/lib/etcd /var/lib/rancher 2>/dev/null").stdout
    seconds, output = playbook("site", check=False)
    flat = " ".join(output.split())
    saw("the join fails and is named, %.0f s" % seconds, "bench-cp2 did not join" in flat, output)
    if "bench-cp3 did not begin to join" in flat:
        after = ssh("bench-cp3", "ls -A /etc/kubernetes /var/lib/etcd /var/lib/rancher 2>/dev/null").stdout
        saw("bench-cp3 has nothing of a cluster", "manifests" not in after and "member" not in after, before + after)
    else:  # kubeadm's control planes begin at the same time
        count = voters()
        saw("bench-cp3 joined, and the learner of bench-cp2 is gone", count == 2, "%d members vote" % count)
    kubectl = "k3s kubectl" if DISTRIBUTION[0] == "k3s" else "kubectl --kubeconfig /etc/kubernetes/admin.conf"
    got = ssh("bench-cp1", kubectl + " create configmap trial-%d" % time.time())
    saw("the cluster still takes writes", got.returncode == 0, got.stderr)
    undrop("bench-cp2", 2380)
    seconds, output = playbook("site", check=False)
    saw("port opened, %.0f s: complete and healthy" % seconds, went_well(output), output)
    healthy("run after it")


def two_runs():
    """Two runs begin at the same time, with a change that restarts all nodes."""
    running()
    audit = {"k3s_config": {"kube-apiserver-arg": ["audit-log-maxage=7"]}}
    change(*((audit, "kube_control_plane") if DISTRIBUTION[0] == "k3s" else ({"kubelet_config": {"maxPods": 100}},)))
    command = ["ansible-playbook", "kubewright.cluster.site", "-i", str(INVENTORY)]
    logs = [CACHE / ("trial-%d.log" % number) for number in (1, 2)]
    begun = []
    for log in logs:
        with log.open("w", encoding="utf-8") as out:
            begun.append(subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT))
    codes = [one.wait() for one in begun]
    texts = [log.read_text(encoding="utf-8") for log in logs]
    saw("one of the two at least succeeds", 0 in codes, "".join(text[-1500:] for text in texts))
    for code, text in zip(codes, texts):
        named = "is changing this cluster" in " ".join(text.split())
        saw("the run with exit code %d succeeded, or says who has the lock" % code, code == 0 or named, text)
    seconds, output = playbook("site", check=False)
    saw("next run, %.0f s: healthy" % seconds, went_well(output), output)
    healthy("run after it")


TRIALS = {
    "renamed": renamed,
    "data-directory": data_directory,
    "silent-api": silent_api,
    "closed-port": closed_port,
    "two-runs": two_runs,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--distribution", choices=["kubeadm", "k3s"], default="kubeadm")
    parser.add_argument("trial", choices=list(TRIALS), nargs="+")
    options = parser.parse_args()
    DISTRIBUTION[0] = options.distribution
    for name in options.trial:
        TRIALS[name]()
        print("nodes: %s" % ", ".join(sorted({**nodes()[0], **nodes()[1]})), flush=True)
        remove()
    sys.exit("%d not as they must be: %s" % (len(FAILURES), "; ".join(FAILURES)) if FAILURES else 0)


if __name__ == "__main__":
    main()
