#!/usr/bin/env python3
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures on the lab's nodes: overhead against the bare script, the second run, kills, the loss of a control plane.

    benchmarks/measure.py overhead --pairs 5
    benchmarks/measure.py second | add-worker | scale | kill --seeds 12 | loss --mode local | loss --mode vip

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

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("KUBEWRIGHT_CACHE", pathlib.Path.home() / ".cache/kubewright"))
NAME = "bench"
INVENTORY = CACHE / "clusters" / NAME / "inventory.yml"
VERSION = "1.36.3"


def playbook(name, *arguments, inventory=INVENTORY, check=True):
    """Run a playbook of the collection. Returns (seconds, output)."""
    command = [
        "ansible-playbook",
        "kubewright.cluster." + name,
        *(["-i", str(inventory)] if inventory else []),
        *arguments,
    ]
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if check and done.returncode:
        sys.exit("%s failed:\n%s" % (" ".join(command), done.stdout[-4000:]))
    return time.monotonic() - started, done.stdout


def recap(output):
    """{host: {"ok": n, "changed": n, ...}} of a run."""
    found = {}
    for line in output.splitlines():
        match = re.match(r"(\S+)\s+: (ok=\d+.*)", line)
        if match:
            found[match[1]] = {key: int(value) for key, value in (pair.split("=") for pair in match[2].split())}
    return found


def make(control_planes=3, workers=1, variables=None):
    """Fresh nodes; what was there under the name goes."""
    remove()
    playbook(
        "local",
        "-e",
        "local_name=%s local_control_planes=%d local_workers=%d" % (NAME, control_planes, workers),
        inventory=None,
    )
    if variables:
        inventory = yaml.safe_load(INVENTORY.read_text())
        inventory["all"]["vars"].update(variables)
        INVENTORY.write_text(yaml.safe_dump(inventory))


def remove():
    playbook("local", "-e", "local_name=%s local_state=absent" % NAME, inventory=None)


def nodes():
    """({control plane: address}, {worker: address}, inventory variables)."""
    inventory = yaml.safe_load(INVENTORY.read_text())["all"]
    groups = [
        {host: values["ansible_host"] for host, values in (inventory["children"][group].get("hosts") or {}).items()}
        for group in ("kube_control_plane", "kube_node")
    ]
    return groups[0], groups[1], inventory["vars"]


def ssh(host, command, **options):
    """Run a command on a node. Returns the finished process."""
    planes, workers, variables = nodes()
    argv = [
        "ssh",
        "-i",
        variables["ansible_ssh_private_key_file"],
        *["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"],
    ]
    return subprocess.run(
        [*argv, "root@" + {**planes, **workers}[host], command], text=True, capture_output=True, check=False, **options
    )


def bare():
    """Seconds of the bare script on fresh nodes."""
    planes, workers, variables = nodes()
    registry = variables["kube_registries"]["mirrors"]["registry.k8s.io"]["endpoints"][0]
    command = [
        ROOT / "benchmarks/bare.sh",
        variables["kube_artifacts"]["source"],
        registry,
        VERSION,
        variables["ansible_ssh_private_key_file"],
        *planes.values(),
        "--",
        *workers.values(),
    ]
    started = time.monotonic()
    done = subprocess.run(
        list(map(str, command)), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        sys.exit("the bare script failed:\n" + done.stdout[-4000:])
    return time.monotonic() - started


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


CLIENT = r"""
import ssl, sys, time, urllib.request
context = ssl._create_unverified_context()
end, last, longest, good, bad = time.time() + float(sys.argv[2]), time.time(), 0, 0, 0
while time.time() < end:
    start = time.time()
    try:
        urllib.request.urlopen(sys.argv[1] + "/readyz", timeout=2, context=context).read()
        longest, last, good = max(longest, time.time() - last), time.time(), good + 1
    except OSError:
        bad += 1
    time.sleep(max(0, 0.1 - (time.time() - start)))
print("%.1f %d %d" % (max(longest, time.time() - last), good, bad))
"""


def loss(options):
    """The longest gap that a client sees when the control plane behind the endpoint stops; then it comes back by itself."""
    variables = {}
    make(3, 1)
    planes, workers, _variables = nodes()
    worker = list(workers)[0]
    url = "https://127.0.0.1:7443"
    if options.mode == "vip":
        address = planes[list(planes)[0]].rsplit(".", 1)[0] + ".250"
        variables, url = {"kube_api_endpoint": {"mode": "vip", "address": address}}, "https://%s:7443" % address
        make(3, 1, variables)
    playbook("site")
    victim = list(planes)[0]
    if options.mode == "vip":
        victim = next(host for host in planes if address in ssh(host, "ip -o addr").stdout)
    ssh(worker, "cat >/root/client.py <<'PY'\n%s\nPY" % CLIENT)
    planes, workers, login = nodes()
    argv = [
        "ssh",
        "-i",
        login["ansible_ssh_private_key_file"],
        *["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"],
        "root@" + workers[worker],
    ]
    client = subprocess.Popen([*argv, "python3 /root/client.py %s 40" % url], text=True, stdout=subprocess.PIPE)
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
    options = parser.parse_args()
    globals()[options.command.replace("-", "_")](options)


if __name__ == "__main__":
    main()
