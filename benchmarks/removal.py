# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure remove and replace on the lab's nodes, with a client that reads and one that writes.

    python benchmarks/removal.py dead | alive | worker | replace | resize
    python benchmarks/removal.py by-hand      # the commands of the documentation, for comparison
    python benchmarks/removal.py --distribution k3s dead | alive | replace | resize

The lab must be up (tests/lab/lab up). Each command creates its own nodes (cluster "bench") and removes them at the end.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time

import yaml
from bench import (
    DISTRIBUTION,
    INVENTORY,
    ROOT,
    WRITER,
    answers,
    ask,
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


# Asks the etcd member of the node for the list.
MEMBERS = r"""
import json, ssl, urllib.request
context = ssl._create_unverified_context()
context.load_cert_chain("%s", "%s")
request = urllib.request.Request("https://127.0.0.1:%d/v3/cluster/member/list", b"{}")
print(len([one for one in json.load(urllib.request.urlopen(request, timeout=5, context=context))["members"]
           if not one.get("isLearner")]))
"""
ETCD = {
    "kubeadm": ("/etc/kubernetes/pki/etcd/server.crt", "/etc/kubernetes/pki/etcd/server.key", 2379),
    "k3s": ("/var/lib/rancher/k3s/server/tls/etcd/client.crt", "/var/lib/rancher/k3s/server/tls/etcd/client.key", 2382),
}


def voters():
    """Return how many etcd members vote, as a control plane that runs sees it; 0 if none answers."""
    return next((found for found in map(voters_at, nodes()[0]) if found), 0)


def voters_at(host):
    """Return how many etcd members vote by what a node says; 0 if it does not answer."""
    done = ssh(host, "timeout 10 python3 -", input=MEMBERS % ETCD[DISTRIBUTION[0]])
    return int(done.stdout) if done.returncode == 0 and done.stdout.strip().isdigit() else 0


def begin():
    """Start a cluster and its clients. Return (clients, the control plane that goes, what runs on the other nodes)."""
    clients = start()
    planes = nodes()[0]
    victim = list(planes)[-1]
    before = processes([*list(planes)[:-1], *nodes()[1]])
    time.sleep(5)
    return clients, victim, before


def dead(_options):
    """Remove the first control plane after its machine died."""
    clients, victim, before = begin()
    down(victim)
    arguments = ("-e", "remove_nodes=%s" % victim, "-e", "remove_dead=true")
    seconds, output = playbook("remove", *arguments, check=False)
    show("remove %s, dead (target: at most 25 s)" % victim, seconds, output, clients, before)
    again("remove", *arguments)
    print("  %d members vote" % voters())
    remove()


def alive(_options):
    """Remove the control plane that leads etcd, while it runs."""
    clients, victim, before = begin()
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
    clients, victim, before = begin()
    down(victim)
    time.sleep(5)
    new_machine(victim)
    started, three = time.monotonic(), []

    def watch():
        two = False
        while not three:
            number = voters_at(next(iter(before)))
            two = two or number == 2
            three.extend([time.monotonic() - started] if two and number == 3 else [])
            time.sleep(0.5)

    threading.Thread(target=watch, daemon=True).start()
    arguments = ("-e", "replace_nodes=%s" % victim, "-e", "remove_dead=true")
    seconds, output = playbook("replace", *arguments, check=False)
    show("replace %s" % victim, seconds, output, clients, before)
    print("  three voters after %.1f s (target: at most 60 s)" % three[0] if three else "  NOT three voters")
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
