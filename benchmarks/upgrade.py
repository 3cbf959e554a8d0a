# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure an upgrade while a client reads, writes and watches ten times a second through a worker's API endpoint.

    python benchmarks/upgrade.py playbook [--distribution k3s] [--control-planes 3] [--old-etcd] [--begin 1.34.4] |
        by-hand | kill --seeds 12

The lab must be up (tests/lab/lab up), for --begin with that release (tests/lab/lab build --kubernetes VERSION). Each
command creates its own nodes (cluster "bench") and removes them at the end.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import time

from bench import (
    CACHE,
    DISTRIBUTION,
    ROOT,
    administrator,
    change,
    local_url,
    make,
    nodes,
    playbook,
    recap,
    remove,
    ssh,
    started_on,
    survives,
    went_well,
)

TARGET = "1.37.2"
# What the playbook prints for each node that has the new version.
LINE = re.compile(r": (control plane|K3s) .* in \d+ s")


# Prints the name of each container of etcd once.
MEMBERS = (
    "timeout 3600 sh -c 'while sleep 1; do crictl ps -q --name ^etcd$; done' | awk '!seen[$0]++ {print; fflush()}'"
)


def start(options):
    """Make a cluster of the older version."""
    old = {"kubeadm_cluster_config": {"etcd": {"local": {"imageTag": "3.6.8-0"}}}} if options.old_etcd else {}
    make(options.control_planes, options.workers, {**old, **({"kube_version": options.begin} if options.begin else {})})
    playbook("site")


def client():
    """Start the client on the first worker."""
    worker = list(nodes()[1])[0]
    administrator(worker)
    ssh(worker, "cat >/root/upgrade_client.py", input=(ROOT / "benchmarks/upgrade_client.py").read_text())
    return started_on(worker, "python3 /root/upgrade_client.py " + local_url())


def report(kind, seconds, process):
    """Stop the client and print what it saw."""
    time.sleep(5)
    output, error = process.communicate()
    try:
        found = json.loads(output)
    except ValueError:
        sys.exit("The client ended without a result: " + (output + error)[-400:])
    print(
        "%s: %.0f s; longest gap of writes %.2f s (%d of %d answered), of reads %.2f s (%d failures) (target: 1, at "
        "most 5); acknowledged writes lost %d, events missed %d (must be 0); %d watches"
        % (
            kind,
            seconds,
            found["writes"]["longest"],
            found["writes"]["good"],
            found["writes"]["good"] + found["writes"]["bad"],
            found["reads"]["longest"],
            found["reads"]["bad"],
            found["lost"],
            found["missed"],
            found["watches"],
        ),
        flush=True,
    )
    return found


def watched_members():
    """Start to watch etcd's containers on the control planes. Return {name: process}; none with K3s."""
    return {name: started_on(name, MEMBERS) for name in nodes()[0]} if DISTRIBUTION[0] == "kubeadm" else {}


def restarts(watched):
    """Return {name: how often etcd was started again}."""
    found = {}
    for name, process in watched.items():
        process.terminate()
        found[name] = len(process.communicate()[0].split()) - 1
    return found


def with_playbook(options):
    """Upgrade with the playbook, then again, then run site."""
    start(options)
    running, watched = client(), watched_members()
    time.sleep(5)
    change(target(options))
    seconds, output = playbook("upgrade", check=False)
    print("\n".join(line for line in output.splitlines() if LINE.search(line)))
    if not went_well(output):
        print(output[-6000:])
    report("playbook", seconds, running)
    print("etcd started again: %s (target: at most 2 a member)" % restarts(watched), flush=True)
    for name in ("upgrade", "site"):
        again, output = playbook(name, check=False)
        changed = sum(row["changed"] for row in recap(output).values())
        print("%s again: %.1f s, changed %d (must be 0)" % (name, again, changed), flush=True)
    if not options.keep:
        remove()


def target(options):
    """Return the variables of the newer version."""
    return {"kube_version": TARGET, **({"kubeadm_cluster_config": {}} if options.old_etcd else {})}


def by_hand(options):
    """Upgrade as kubernetes.io describes it."""
    start(options)
    planes, workers, variables = nodes()
    running = client()
    time.sleep(5)
    command = [ROOT / "benchmarks/upgrade-by-hand.sh", variables["kube_artifacts"]["source"], TARGET]
    command += [variables["ansible_ssh_private_key_file"], *planes.values(), "--", *workers.values()]
    started = time.monotonic()
    done = subprocess.run(list(map(str, command)), text=True, capture_output=True, check=False)
    seconds = time.monotonic() - started
    print(done.stdout)
    if done.returncode:
        print("The script failed:\n" + done.stderr[-4000:])
    report("by hand", seconds, running)
    if not options.keep:
        remove()


def kill(options):
    """Kill upgrades at seeded moments.

    The next run must end with a healthy cluster at the target, the one after it must change nothing.
    """
    failures = 0
    for seed in range(options.first, options.first + options.seeds):
        start(options)
        change(target(options))
        at = options.span * (seed % options.of + random.Random(seed).random()) / options.of
        log = CACHE / ("kill-upgrade-%d.log" % seed)
        good, text = survives("upgrade", at, log)
        failures += not good
        print("seed %d, %s" % (seed, text), flush=True)
    remove()
    sys.exit("%d of %d failed" % (failures, options.seeds) if failures else 0)


COMMANDS = {"playbook": with_playbook, "by-hand": by_hand, "kill": kill}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=list(COMMANDS))
    parser.add_argument("--control-planes", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--old-etcd", action="store_true", help="start with kubeadm's own etcd, which is too old for 3.7"
    )
    parser.add_argument("--begin", help="the release of the cluster before the upgrade")
    parser.add_argument("--distribution", choices=["kubeadm", "k3s"], default="kubeadm")
    parser.add_argument("--keep", action="store_true", help="keep the nodes")
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--of", type=int, default=12, help="number of slices of the run; each seed falls into one")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--span", type=float, default=420, help="seconds of a complete run")
    options = parser.parse_args()
    if options.distribution != "kubeadm" and (options.old_etcd or options.command == "by-hand"):
        parser.error("--old-etcd and by-hand are for kubeadm")
    DISTRIBUTION[0] = options.distribution
    COMMANDS[options.command](options)


if __name__ == "__main__":
    main()
