# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the collection on the lab's nodes: overhead, second runs, killed runs, loss of a control plane, and more.

    python benchmarks/measure.py overhead --pairs 5
    python benchmarks/measure.py second | add-worker | scale | plan --nodes 100 | kill --seeds 12
    python benchmarks/measure.py loss --mode local | loss --mode vip | both
    python benchmarks/measure.py --distribution k3s overhead | second | kill | loss | setting | agents 5 10 20

The lab must be up (tests/lab/lab up). Each command creates its own nodes (cluster "bench") and removes them at the end.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import re
import statistics
import subprocess
import sys
import time

import yaml
from bench import (
    CACHE,
    DISTRIBUTION,
    INVENTORY,
    ROOT,
    answers,
    ask,
    bare,
    change,
    free_memory,
    local_url,
    make,
    nodes,
    playbook,
    recap,
    remove,
    ssh,
    survives,
    went_well,
)


def overhead(options):
    """Compare site with the bare script. They run alternately, each time on new nodes."""
    ratios = []
    for number in range(options.pairs):
        seconds = {}
        for kind in ("bare", "site") if number % 2 == 0 else ("site", "bare"):
            make()
            if kind == "bare":
                seconds[kind] = bare()
            else:
                seconds[kind], output = playbook("site")
                tasks = {host: counts["ok"] for host, counts in recap(output).items()}
        ratios.append(seconds["site"] / seconds["bare"])
        print(
            "pair %d: bare %.1f s, site %.1f s, ratio %.2f; tasks per host %s"
            % (number + 1, seconds["bare"], seconds["site"], ratios[-1], tasks),
            flush=True,
        )
    print("median ratio of %d pairs: %.2f (target: at most 1.1)" % (len(ratios), statistics.median(ratios)))
    remove()


def second(options):
    """Compare a run that has nothing to do with `ansible -m ping`, and count lines of output."""
    make()
    first, output = playbook("site")
    tasks = {host: counts["ok"] for host, counts in recap(output).items()}
    text = "first run: %.1f s, %d lines of output (target: at most 120), tasks per host %s"
    print(text % (first, _lines(output), tasks))
    pings, runs, most, again = [], [], max(tasks.values()), 0
    for _number in range(options.pairs):
        started = time.monotonic()
        subprocess.run(
            ["ansible", "all", "-i", str(INVENTORY), "-m", "ping"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
        )
        pings.append(time.monotonic() - started)
        seconds, output = playbook("site")
        runs.append(seconds)
        counts = recap(output)
        again = max(again, *(row["ok"] for row in counts.values()))
        print(
            "ping %.2f s, site %.2f s, %d lines of output (target: at most 40), changed %d, tasks per host %s"
            % (
                pings[-1],
                seconds,
                _lines(output),
                sum(count["changed"] for count in counts.values()),
                {host: count["ok"] for host, count in counts.items()},
            ),
            flush=True,
        )
    print(
        "second run: median %.1f s, %.1f pings (target: at most 6), most tasks on a host: %d (target: at most 10); "
        "first run: %d (target: at most 30)"
        % (statistics.median(runs), statistics.median(runs) / statistics.median(pings), again, most)
    )
    remove()


def _lines(output):
    """Return the number of lines that a user sees."""
    return len(output.splitlines())


def plan(options):
    """Plan many container nodes over SSH: seconds, CPU seconds of the controller, lines of output."""
    make(3, options.nodes - 3)
    for _number in range(options.pairs):
        before = os.times()
        seconds, output = playbook("plan", "--forks", "50")
        after = os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        planned = sum(1 for counts in recap(output).values() if not counts["failed"] + counts["unreachable"])
        print(
            "%d of %d nodes planned in %.1f s (target: at most 30 for 100), controller CPU %.1f s, %d lines of output"
            % (planned, options.nodes, seconds, cpu, _lines(output)),
            flush=True,
        )
    remove()


def add_worker(_options):
    """Add a worker and show what runs on the other nodes."""
    make(3, 2)
    planes, workers, _variables = nodes()
    newest = list(workers)[-1]
    whole = INVENTORY.read_text()
    inventory = yaml.safe_load(whole)
    inventory["all"]["children"]["kube_node"]["hosts"].pop(newest)
    INVENTORY.write_text(yaml.safe_dump(inventory))
    playbook("site")
    INVENTORY.write_text(whole)
    seconds, output = playbook("site")
    print("%s joined in %.1f s; tasks and changes per host:" % (newest, seconds))
    for host, counts in recap(output).items():
        print("  %-12s ok %d changed %d" % (host, counts["ok"], counts["changed"]))
    others = sum(counts["changed"] for host, counts in recap(output).items() if host != newest)
    print("changes on other nodes: %d (must be 0)" % others)
    remove()


def kill(options):
    """Kill site at seeded moments.

    The next run must end with a healthy cluster, the one after it must change nothing.
    """
    span = options.span
    if not span:
        make()
        span = playbook("site")[0]
    print("complete run: %.1f s" % span, flush=True)
    failures = missed = 0
    for seed in range(options.first, options.first + options.seeds):
        make()
        # One random moment in each slice of the run, so that init and joins are interrupted too.
        at = span * (seed % options.of + random.Random(seed).random()) / options.of
        log = CACHE / ("kill-%d.log" % seed)
        good, text = survives("site", at, log)
        failures += not good
        missed += "NOT KILLED" in text
        print("seed %d, %s" % (seed, text), flush=True)
    remove()
    print("%d killed, %d ended before" % (options.seeds - missed, missed))
    sys.exit("%d of %d failed" % (failures, options.seeds) if failures else 0)


def scale(_options):
    """Plan many simulated machines without Ansible."""
    sys.path.insert(0, os.environ["ANSIBLE_COLLECTIONS_PATH"].split(":")[0])
    base = "ansible_collections.kubewright.cluster."
    planner = importlib.import_module(base + "plugins.plugin_utils.plan.planner")
    machines = importlib.import_module(base + "tests.unit.plugins.plugin_utils.machines")
    for count in (100, 1000, 10000):
        hosts, groups = machines.inventory(3, count - 3, {"kube_pod_cidrs": ["172.16.0.0/12"]})
        started = time.monotonic()
        planned = planner.cluster_plan(hosts, groups)
        print("%6d nodes: %.2f s, %d refusals" % (count, time.monotonic() - started, len(planned["refusals"])))


def loss(options):
    """Stop a control plane. Measure a client's longest gap, and the time until verify passes after it starts again."""
    variables = {}
    make(3, 1)
    planes, workers, _variables = nodes()
    worker = list(workers)[0]
    url = local_url()
    if options.mode == "vip":
        address = planes[list(planes)[0]].rsplit(".", 1)[0] + ".250"
        variables, url = {"kube_api_endpoint": {"mode": "vip", "address": address}}, "https://%s:7443" % address
        make(3, 1, variables)
    playbook("site")
    victim = list(planes)[0]
    if options.mode == "vip":
        victim = next(host for host in planes if address in ssh(host, "ip -o addr").stdout)
    client = ask(worker, url)
    time.sleep(8)
    subprocess.run(["podman", "kill", victim], check=True, stdout=subprocess.DEVNULL)
    time.sleep(32)
    print(
        "%s: stopped %s; longest gap %.2f s (target: at most 10); %d answers, %d failures"
        % (options.mode, victim, *answers(client)),
        flush=True,
    )
    subprocess.run(["podman", "start", victim], check=True, stdout=subprocess.DEVNULL)
    started = time.monotonic()
    while not went_well(playbook("verify", check=False)[1]):
        if time.monotonic() - started > 300:
            sys.exit("%s: %s started again; verify still fails after 300 s" % (options.mode, victim))
        time.sleep(2)
    print("%s: %s started again; verify passes after %.0f s" % (options.mode, victim, time.monotonic() - started))
    remove()


def setting(_options):
    """Change a setting on running control planes. Measure the longest gap of a client at a worker's local endpoint."""
    make(3, 1)
    playbook("site")
    planes, workers, _variables = nodes()
    client = ask(list(workers)[0], local_url())
    time.sleep(5)
    # Only for servers: agents have no API server.
    audit = {"k3s_config": {"kube-apiserver-arg": ["audit-log-maxage=7"]}}
    change(*((audit, "kube_control_plane") if DISTRIBUTION[0] == "k3s" else ({"kubelet_config": {"maxPods": 100}},)))
    seconds, output = playbook("site", "--forks", "50")
    time.sleep(5)
    counts = {host: row["changed"] for host, row in recap(output).items()}
    print(
        "changed in %.0f s (%s); longest gap %.2f s (target: at most 5); %d answers, %d failures"
        % (seconds, counts, *answers(client))
    )
    if not all(counts.get(host) for host in planes):
        sys.exit("Some control planes did not change, so the gap is meaningless.")
    remove()


def agents(options):
    """Join many workers in one run. Measure seconds and memory per worker."""
    taken = {}
    for count in options.counts:
        remove()
        before = free_memory()
        make(1, count)
        taken[count], output = playbook("site", "--forks", "50", "-e", "verify_timeout=180")
        joined = sum(1 for row in recap(output).values() if not row["failed"] + row["unreachable"]) - 1
        text = (
            "%2d workers: %.1f s, %.1f s each, %d joined; %d MiB per worker (with its share of the server), %d MiB left"
        )
        share = (before - free_memory()) // count
        print(text % (count, taken[count], taken[count] / count, joined, share, free_memory()), flush=True)
    least, most = min(taken), max(taken)
    growth = taken[most] / taken[least] / (most / least)
    print("%d compared with %d workers: %.2f times linear growth (target: at most 1)" % (most, least, growth))
    remove()


def both(_options):
    """Install kubeadm, then K3s, on the same nodes with one line of the inventory changed, and verify each."""
    make(3, 1)
    for name in ("kubeadm", "k3s"):
        change({"kube_distribution": name})
        seconds, _output = playbook("site")
        verdict = re.search(r"is (healthy|NOT healthy): [^'\n]*", playbook("verify")[1])
        if not verdict:
            sys.exit("%s: verify did not report the cluster's health" % name)
        print("%s: site %.1f s, verify: %s" % (name, seconds, verdict[0]), flush=True)
        playbook("reset", "-e", "reset_confirm=true")
    remove()


COMMANDS = {
    "overhead": overhead,
    "second": second,
    "add-worker": add_worker,
    "scale": scale,
    "plan": plan,
    "kill": kill,
    "loss": loss,
    "setting": setting,
    "agents": agents,
    "both": both,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--distribution", choices=["kubeadm", "k3s"], default="kubeadm")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, default in (("overhead", 5), ("second", 5)):
        commands.add_parser(name).add_argument("--pairs", type=int, default=default)
    commands.add_parser("add-worker")
    commands.add_parser("scale")
    planning = commands.add_parser("plan")
    planning.add_argument("--nodes", type=int, default=100)
    planning.add_argument("--pairs", type=int, default=3)
    killing = commands.add_parser("kill")
    killing.add_argument("--seeds", type=int, default=12)
    killing.add_argument("--of", type=int, default=12, help="number of slices of the run; each seed falls into one")
    killing.add_argument("--first", type=int, default=0)
    killing.add_argument("--span", type=float, help="seconds of a complete run; measured by default")
    commands.add_parser("loss").add_argument("--mode", choices=["local", "vip"], default="local")
    commands.add_parser("setting")
    commands.add_parser("agents").add_argument("counts", type=int, nargs="*", default=[5, 10, 20])
    commands.add_parser("both")
    options = parser.parse_args()
    DISTRIBUTION[0] = options.distribution
    COMMANDS[options.command](options)


if __name__ == "__main__":
    main()
