#!/usr/bin/env python3
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures on the lab's nodes: overhead against the bare script, the second run, kills, the loss of a control plane.

    benchmarks/measure.py overhead --pairs 5
    benchmarks/measure.py second | add-worker | scale | kill --seeds 12 | loss --mode local | loss --mode vip
    benchmarks/measure.py --distribution k3s overhead | second | kill --span 95 | loss | setting | agents 5 10 20
    benchmarks/measure.py both

The lab must be up (tests/lab/lab up). Each measure makes its own nodes (cluster "bench") and takes them away.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pathlib
import random
import re
import signal
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
    ask,
    bare,
    change,
    local_url,
    make,
    nodes,
    playbook,
    recap,
    remove,
    ssh,
)


def overhead(options):
    """site against the bare script, in turn, on fresh nodes each time."""
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
            "pair %d: bare %.1f s, site %.1f s, ratio %.2f; tasks a host %s"
            % (number + 1, seconds["bare"], seconds["site"], ratios[-1], tasks),
            flush=True,
        )
    print("median ratio of %d pairs: %.2f (at most 1.25)" % (len(ratios), statistics.median(ratios)))
    remove()


def second(options):
    """The run that finds nothing to do, against `ansible -m ping`."""
    make()
    first, output = playbook("site")
    print(
        "first run: %.1f s, tasks a host %s" % (first, {host: counts["ok"] for host, counts in recap(output).items()})
    )
    pings, runs = [], []
    for _number in range(options.pairs):
        started = time.monotonic()
        subprocess.run(
            ["ansible", "all", "-i", str(INVENTORY), "-m", "ping"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
        )
        pings.append(time.monotonic() - started)
        seconds, output = playbook("site")
        runs.append(seconds)
        counts = recap(output)
        print(
            "ping %.2f s, site %.2f s, changed %d, tasks a host %s"
            % (pings[-1], seconds, sum(c["changed"] for c in counts.values()), {h: c["ok"] for h, c in counts.items()}),
            flush=True,
        )
    print(
        "second run: median %.1f s, %.1f pings (at most 8)"
        % (statistics.median(runs), statistics.median(runs) / statistics.median(pings))
    )
    remove()


def add_worker(_options):
    """A worker more: what runs on the others."""
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
    print("%s joined in %.1f s; tasks and changes a host:" % (newest, seconds))
    for host, counts in recap(output).items():
        print("  %-12s ok %d changed %d" % (host, counts["ok"], counts["changed"]))
    others = sum(counts["changed"] for host, counts in recap(output).items() if host != newest)
    print("changed on the others: %d (must be 0)" % others)
    remove()


def kill(options):
    """Kill site at seeded points; each time the next run must end healthy and the one after it change nothing."""
    failures = 0
    for seed in range(options.first, options.first + options.seeds):
        make()
        # Spread over the run, the random part within its slice: init and the joins are among them.
        at = options.span * (seed % options.of + random.Random(seed).random()) / options.of
        process = subprocess.Popen(
            ["ansible-playbook", "kubewright.cluster.site", "-i", str(INVENTORY)],
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        time.sleep(at)
        os.killpg(process.pid, signal.SIGKILL)
        during = [line for line in process.communicate()[0].splitlines() if line.startswith("TASK")][-1:] or [
            "before the first task"
        ]
        seconds, output = playbook("site", check=False)
        healthy = all(counts["failed"] + counts["unreachable"] == 0 for counts in recap(output).values()) and recap(
            output
        )
        third = recap(playbook("site", check=False)[1])
        changed = sum(counts["changed"] + counts["failed"] for counts in third.values())
        good = bool(healthy) and changed == 0
        failures += not good
        print(
            "seed %d, killed after %.1f s in %s: run again %.0f s, %s, the run after that changed %d"
            % (seed, at, during[0].strip(" *"), seconds, "healthy" if healthy else "FAILED", changed),
            flush=True,
        )
        if not good:
            (CACHE / ("kill-%d.log" % seed)).write_text(output)
    remove()
    sys.exit("%d of %d failed" % (failures, options.seeds) if failures else 0)


def scale(_options):
    """Seconds to plan many nodes, from the unit tests' machines."""
    sys.path.insert(0, os.environ["ANSIBLE_COLLECTIONS_PATH"].split(":")[0])
    base = "ansible_collections.kubewright.cluster."
    planner = importlib.import_module(base + "plugins.plugin_utils.planner")
    machines = importlib.import_module(base + "tests.unit.plugins.plugin_utils.machines")
    for count in (100, 1000, 10000):
        hosts, groups = machines.inventory(3, count - 3, {"kube_pod_cidrs": ["172.16.0.0/12"]})
        started = time.monotonic()
        plan = planner.cluster_plan(hosts, groups)
        print("%6d nodes: %.2f s, %d refusals" % (count, time.monotonic() - started, len(plan["refusals"])))


def loss(options):
    """The longest gap that a client sees when the control plane behind the endpoint stops; then it comes back by itself."""
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
    client = ask(worker, url, 40)
    time.sleep(8)
    subprocess.run(["podman", "kill", victim], check=True, stdout=subprocess.DEVNULL)
    gap, good, bad = client.communicate()[0].split()
    print(
        "%s: stopped %s; longest gap %s s (at most 10); %s answers, %s failures"
        % (options.mode, victim, gap, good, bad),
        flush=True,
    )
    subprocess.run(["podman", "start", victim], check=True, stdout=subprocess.DEVNULL)
    started = time.monotonic()
    while playbook("verify", check=False)[1].count("failed=0") < 4 and time.monotonic() - started < 300:
        time.sleep(2)
    print("%s: %s started again; verify is content after %.0f s" % (options.mode, victim, time.monotonic() - started))
    remove()


def setting(options):
    """A changed setting on running control planes: the longest gap of a client at a worker's own endpoint."""
    make(3, 1)
    playbook("site")
    worker = list(nodes()[1])[0]
    client = ask(worker, local_url(), options.seconds)
    time.sleep(5)
    change(
        {"k3s_config": {"kube-apiserver-arg": ["audit-log-maxage=7"]}}
        if DISTRIBUTION[0] == "k3s"
        else {"kubelet_config": {"maxPods": 100}}
    )
    seconds, output = playbook("site", "--forks", "50")
    counts = {host: row["changed"] for host, row in recap(output).items()}
    gap, good, bad = client.communicate()[0].split()
    print("changed in %.0f s (%s); longest gap %s s (at most 5); %s answers, %s failures" % (seconds, counts, gap, good, bad))
    if seconds + 5 > options.seconds:
        print("the client ended before the run: give --seconds %d" % (seconds + 10))
    remove()


def agents(options):
    """So many workers that join in one run; seconds for each number."""
    for count in options.counts:
        make(1, count)
        seconds, output = playbook("site", "--forks", "50", "-e", "verify_timeout=180")
        joined = sum(1 for host, row in recap(output).items() if not row["failed"] + row["unreachable"])
        free = int(re.search(r"MemAvailable:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(encoding="ascii"))[1]) >> 10
        text = "%2d workers: %.1f s, %.1f s each, %d hosts without failure, %d MiB of memory left"
        print(text % (count, seconds, seconds / count, joined, free), flush=True)
    remove()


def both(_options):
    """The same inventory with one line changed: a cluster of each distribution on the same nodes, each proved by the same playbook."""
    make(3, 1)
    for name in ("kubeadm", "k3s"):
        change({"kube_distribution": name})
        seconds, _output = playbook("site")
        verdict = re.search(r"is (healthy|NOT healthy): [^'\n]*", playbook("verify")[1])
        print("%s: site %.1f s, verify: %s" % (name, seconds, verdict[0] if verdict else "said nothing"), flush=True)
        playbook("reset", "-e", "reset_confirm=true")
    remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--distribution", choices=["kubeadm", "k3s"], default="kubeadm")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, default in (("overhead", 5), ("second", 5)):
        commands.add_parser(name).add_argument("--pairs", type=int, default=default)
    commands.add_parser("add-worker")
    commands.add_parser("scale")
    killing = commands.add_parser("kill")
    killing.add_argument("--seeds", type=int, default=12)
    killing.add_argument("--of", type=int, default=12, help="slices of the span that the seeds are spread over")
    killing.add_argument("--first", type=int, default=0)
    killing.add_argument("--span", type=float, default=85.0, help="seconds of a whole run")
    commands.add_parser("loss").add_argument("--mode", choices=["local", "vip"], default="local")
    commands.add_parser("setting").add_argument("--seconds", type=int, default=90)
    commands.add_parser("agents").add_argument("counts", type=int, nargs="*", default=[5, 10, 20])
    commands.add_parser("both")
    options = parser.parse_args()
    DISTRIBUTION[0] = options.distribution
    globals()[options.command.replace("-", "_")](options)


if __name__ == "__main__":
    main()
