#!/usr/bin/env python3
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure remove and replace on the lab's nodes, with a client that reads and one that writes.

    benchmarks/removal.py dead | alive | worker | replace | resize
    benchmarks/removal.py by-hand                                  # the commands of the documentation, for comparison
    benchmarks/removal.py --distribution k3s dead | alive | replace | resize

The lab must be up (tests/lab/lab up). Each command creates its own nodes (cluster "bench") and removes them at the end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

import yaml
from bench import (
    DISTRIBUTION,
    INVENTORY,
    ROOT,
    WRITER,
    answers,
    ask,
    change,
    local_url,
    make,
    nodes,
    playbook,
    recap,
    remove,
    ssh,
    start_nodes,
)

RESTARTS = "for unit in kubelet containerd kube-endpoint k3s k3s-agent; do systemctl show -p MainPID $unit; done"
PODS = "crictl ps -q --name 'etcd|kube-apiserver|kube-controller-manager|kube-scheduler' | sort"


def start():
    """Make a cluster with its inventory in reverse order, and start the clients on its worker."""
    make(3, 1)
    reverse()
    playbook("site")
    worker = list(nodes()[1])[0]
    return ask(worker, local_url()), ask(worker, local_url(), WRITER)


def reverse():
    """Reverse the order of the control planes: the first one that was made comes last."""
    inventory = yaml.safe_load(INVENTORY.read_text())
    hosts = inventory["all"]["children"]["kube_control_plane"]["hosts"]
    inventory["all"]["children"]["kube_control_plane"]["hosts"] = dict(reversed(hosts.items()))
    INVENTORY.write_text(yaml.safe_dump(inventory, sort_keys=False))


def without(*names):
    """Take hosts out of the inventory."""
    inventory = yaml.safe_load(INVENTORY.read_text())
    for group in ("kube_control_plane", "kube_node"):
        for name in names:
            inventory["all"]["children"][group]["hosts"].pop(name, None)
    INVENTORY.write_text(yaml.safe_dump(inventory, sort_keys=False))


def processes(hosts):
    """Return what runs on nodes: the processes of services and the containers of static pods, by host."""
    return {host: ssh(host, RESTARTS + "; " + PODS).stdout for host in hosts}


def down(host):
    """Stop a node as a power cut does."""
    subprocess.run(["podman", "kill", host], check=True, stdout=subprocess.DEVNULL)


def show(what, seconds, output, clients, before=None):
    """Print the duration, the changes by host, the clients' gaps, and which other nodes have new processes."""
    changed = {host: counts["changed"] for host, counts in recap(output).items() if counts["changed"]}
    print("%s: %.1f s, changes %s" % (what, seconds, changed), flush=True)
    for name, client in zip(("reader", "writer"), clients):
        found = answers(client)
        lost = ", %d acknowledged writes lost" % found[3] if len(found) > 3 else ""
        print("  %s: longest gap %.2f s, %d answers, %d failures%s" % (name, *found[:3], lost), flush=True)
    if before is not None:
        restarted = [host for host, text in processes(before).items() if text != before[host]]
        print("  other nodes with a new process: %s" % (", ".join(restarted) or "none"), flush=True)


def again(what, *arguments):
    """Run it again, and print that nothing changed."""
    seconds, output = playbook(what, *arguments, check=False)
    changed = sum(counts["changed"] for counts in recap(output).values())
    print("  again: %.1f s, %d changes (targets: 10 s, 0)" % (seconds, changed), flush=True)


def voters():
    """Return how many etcd members vote, as a control plane that runs sees it; 0 if none answers."""
    for host in nodes()[0]:
        argv = "etcdctl --cacert /etc/kubernetes/pki/etcd/ca.crt --cert /etc/kubernetes/pki/etcd/server.crt"
        argv += " --key /etc/kubernetes/pki/etcd/server.key member list -w json"
        done = ssh(host, "crictl exec $(crictl ps -q --name ^etcd$ | head -n 1) %s" % argv, timeout=20)
        if DISTRIBUTION[0] == "k3s":
            done = ssh(host, "%s -sk https://127.0.0.1:2382/v3/cluster/member/list -d '{}'" % _curl())
        if done.returncode == 0 and done.stdout.startswith("{"):
            return len([member for member in json.loads(done.stdout)["members"] if not member.get("isLearner")])
    return 0


def _curl():
    place = "/var/lib/rancher/k3s/server/tls/etcd/"
    return "curl --cert %sclient.crt --key %sclient.key" % (place, place)


def dead(_options):
    """Remove the first control plane after its machine died; then the cluster survives one more loss."""
    clients = start()
    planes = nodes()[0]
    victim, staying = list(planes)[-1], [*list(planes)[:-1], *nodes()[1]]
    before = processes(staying)
    time.sleep(5)
    down(victim)
    arguments = ("-e", "remove_nodes=%s" % victim, "-e", "remove_dead=true")
    seconds, output = playbook("remove", *arguments, check=False)
    show("remove %s, dead (target: at most 25 s)" % victim, seconds, output, clients, before)
    again("remove", *arguments)
    without(victim)
    print("  %d members vote" % voters())
    # A cluster of two survives no loss: one joins first.
    subprocess.run(["podman", "start", victim], check=True, stdout=subprocess.DEVNULL)
    remove()


def alive(_options):
    """Remove the control plane that leads etcd, while it runs."""
    clients = start()
    planes = nodes()[0]
    victim, staying = list(planes)[-1], [*list(planes)[:-1], *nodes()[1]]
    before = processes(staying)
    time.sleep(5)
    arguments = ("-e", "remove_nodes=" + victim)
    seconds, output = playbook("remove", *arguments, check=False)
    show("remove %s, alive" % victim, seconds, output, clients, before)
    again("remove", *arguments)
    remove()


def worker(_options):
    """Remove a living worker."""
    make(1, 2)
    playbook("site")
    victim = list(nodes()[1])[-1]
    seconds, output = playbook("remove", "-e", "remove_nodes=" + victim, check=False)
    show("remove %s, alive" % victim, seconds, output, ())
    again("remove", "-e", "remove_nodes=" + victim)
    remove()


def replace(_options):
    """Replace the first control plane, dead, by a new machine with its name."""
    clients = start()
    planes = nodes()[0]
    victim, staying = list(planes)[-1], [*list(planes)[:-1], *nodes()[1]]
    before = processes(staying)
    time.sleep(5)
    down(victim)
    time.sleep(5)
    new_machine(victim)
    seconds, output = playbook("replace", "-e", "replace_nodes=%s" % victim, "-e", "remove_dead=true", check=False)
    show("replace %s (target: three voters after at most 60 s)" % victim, seconds, output, clients, before)
    print("  %d members vote" % voters())
    remove()


def new_machine(host):
    """Replace a node that is down by a new one of its name, which has another address."""
    kept = yaml.safe_load(INVENTORY.read_text())
    subprocess.run(["podman", "rm", "-f", "-v", host], check=True, stdout=subprocess.DEVNULL)
    start_nodes(3, 1)
    address = {**nodes()[0], **nodes()[1]}[host]
    kept["all"]["children"]["kube_control_plane"]["hosts"][host]["ansible_host"] = address
    INVENTORY.write_text(yaml.safe_dump(kept, sort_keys=False))


def resize(_options):
    """Grow from three control planes to five, then remove the two first ones, under a writer."""
    make(5, 1)
    whole = INVENTORY.read_text()
    first, second, *_others, fifth = nodes()[0]
    fourth = list(nodes()[0])[3]
    without(fourth, fifth)
    playbook("site")
    host = list(nodes()[1])[0]
    clients = ask(host, local_url()), ask(host, local_url(), WRITER)
    INVENTORY.write_text(whole)
    grown, output = playbook("site")
    print("3 to 5: %.1f s, %d members vote" % (grown, voters()), flush=True)
    shrunk, output = playbook("remove", "-e", "remove_nodes=%s,%s" % (first, second), check=False)
    without(first, second)
    show("5 to 3", shrunk, output, clients)
    print("  %d members vote" % voters())
    remove()


def by_hand(_options):
    """Remove a dead control plane with the commands of kubernetes.io and etcd.io, one after the other."""
    make(3, 1)
    playbook("site")
    planes, workers, variables = nodes()
    victim, asked = list(planes)[0], list(planes)[1]
    down(victim)
    addresses = [planes[victim], *(address for host, address in {**planes, **workers}.items() if host != victim)]
    started = time.monotonic()
    script = [ROOT / "benchmarks" / "bare-remove.sh", variables["ansible_ssh_private_key_file"], victim, *addresses]
    done = subprocess.run(list(map(str, script)), text=True, check=False, capture_output=True)
    print(done.stdout + done.stderr)
    if done.returncode:
        sys.exit("%s: the commands failed" % asked)
    print("by hand: %.1f s, %d members vote" % (time.monotonic() - started, voters()))
    change({})
    remove()


COMMANDS = {
    "dead": dead,
    "alive": alive,
    "worker": worker,
    "replace": replace,
    "resize": resize,
    "by-hand": by_hand,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--distribution", choices=["kubeadm", "k3s"], default="kubeadm")
    parser.add_argument("command", choices=list(COMMANDS))
    options = parser.parse_args()
    DISTRIBUTION[0] = options.distribution
    COMMANDS[options.command](options)


if __name__ == "__main__":
    main()
