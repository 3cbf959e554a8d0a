# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helpers of the benchmarks: container nodes, playbook runs, and an API client."""

from __future__ import annotations

import base64
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("KUBEWRIGHT_CACHE", pathlib.Path.home() / ".cache/kubewright"))
NAME = "bench"
INVENTORY = CACHE / "clusters" / NAME / "inventory.yml"
VERSION = "1.36.3"
# The value of kube_distribution. main() sets it.
DISTRIBUTION = ["kubeadm"]


def playbook(name, *arguments, inventory=INVENTORY, check=True):
    """Run a playbook of the collection and return (seconds, output)."""
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
    """Return {host: {"ok": n, "changed": n, ...}} from the recap of a run."""
    found = {}
    for line in output.splitlines():
        match = re.match(r"(\S+)\s+: (ok=\d+.*)", line)
        if match:
            found[match[1]] = {key: int(value) for key, value in (pair.split("=") for pair in match[2].split())}
    return found


def went_well(output):
    """Return True if the recap has every node of the inventory and no failures."""
    found, planes_and_workers = recap(output), {**nodes()[0], **nodes()[1]}
    return set(planes_and_workers) <= set(found) and not any(
        row["failed"] + row["unreachable"] for row in found.values()
    )


def make(control_planes=3, workers=1, variables=None):
    """Replace the existing nodes with new ones."""
    remove()
    start_nodes(control_planes, workers)
    change({"kube_distribution": DISTRIBUTION[0], "kube_version": VERSION, **(variables or {})})


def start_nodes(control_planes, workers):
    """Start the nodes that do not run, and write their inventory."""
    playbook(
        "local",
        "-e",
        "local_name=%s local_control_planes=%d local_workers=%d" % (NAME, control_planes, workers),
        "-e",
        "@%s/lab-inputs.json" % CACHE,
        inventory=None,
    )


def change(variables, group=None):
    """Set variables for all nodes, or for one group."""
    inventory = yaml.safe_load(INVENTORY.read_text())
    whose = inventory["all"]["children"][group] if group else inventory["all"]
    whose.setdefault("vars", {}).update(variables)
    INVENTORY.write_text(yaml.safe_dump(inventory))


def remove():
    playbook("local", "-e", "local_name=%s local_state=absent" % NAME, inventory=None)


def nodes():
    """Return ({control plane: address}, {worker: address}, inventory variables)."""
    inventory = yaml.safe_load(INVENTORY.read_text())["all"]
    groups = [
        {host: values["ansible_host"] for host, values in (inventory["children"][group].get("hosts") or {}).items()}
        for group in ("kube_control_plane", "kube_node")
    ]
    return groups[0], groups[1], inventory["vars"]


def ssh_argv(host, command):
    """Return the command that runs one on a node."""
    planes, workers, variables = nodes()
    return [
        *["ssh", "-i", variables["ansible_ssh_private_key_file"]],
        *["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"],
        *["root@" + {**planes, **workers}[host], command],
    ]


def ssh(host, command, **options):
    """Run a command on a node and return the finished process."""
    return subprocess.run(ssh_argv(host, command), text=True, capture_output=True, check=False, **options)


def bare():
    """Run the bare script on new nodes and return its duration in seconds."""
    planes, workers, variables = nodes()
    script = {"kubeadm": "bare.sh", "k3s": "bare-k3s.sh"}[DISTRIBUTION[0]]
    registry = variables["kube_registries"]["mirrors"]["registry.k8s.io"]["endpoints"][0]
    command = [
        ROOT / "benchmarks" / script,
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
        sys.exit("The bare script failed:\n" + done.stdout[-4000:])
    return time.monotonic() - started


# K3s answers anonymous clients with 401 even without a quorum (k3s-io/k3s, pkg/daemons/control/server.go:
# anonymous-auth=false). So the client has a certificate and reads an object, which needs etcd's leader.
CLIENT = r"""
import http.client, select, ssl, sys, time, urllib.request
context = ssl._create_unverified_context()
context.load_cert_chain("/root/client.pem")
last, longest, good, bad, over = time.time(), 0, 0, 0, False
while not over:
    start = time.time()
    try:
        urllib.request.urlopen(sys.argv[1] + "/api/v1/namespaces/default", timeout=2, context=context).read()
        longest, last, good = max(longest, time.time() - last), time.time(), good + 1
    except (OSError, http.client.HTTPException):
        bad += 1
    over = select.select([sys.stdin], [], [], max(0, 0.1 - (time.time() - start)))[0]
print("%.2f %d %d" % (max(longest, time.time() - last), good, bad))
"""


# Creates an object ten times a second, and at the end looks for those whose creation was acknowledged.
WRITER = r"""
import http.client, json, select, ssl, sys, time, urllib.request
context = ssl._create_unverified_context()
context.load_cert_chain("/root/client.pem")
began = last = time.time()
longest, acknowledged, number, over = 0, set(), 0, False

def ask(path, body=None):
    request = urllib.request.Request(sys.argv[1] + path, body, {"Content-Type": "application/json"})
    return json.loads(urllib.request.urlopen(request, timeout=5 if body else 60, context=context).read())

maps = "/api/v1/namespaces/default/configmaps"
while not over:
    start, number = time.time(), number + 1
    name = "write-%d-%d" % (began, number)
    try:
        ask(maps, json.dumps({"metadata": {"name": name}}).encode())
        longest, last = max(longest, time.time() - last), time.time()
        acknowledged.add(name)
    except (OSError, http.client.HTTPException):
        pass
    over = select.select([sys.stdin], [], [], max(0, 0.1 - (time.time() - start)))[0]
longest = max(longest, time.time() - last)
lost = acknowledged - {item["metadata"]["name"] for item in ask(maps)["items"]}
print("%.2f %d %d %d" % (longest, len(acknowledged), number - len(acknowledged), len(lost)))
"""


def administrator(host):
    """Put the administrator's certificate and key onto a node."""
    first = list(nodes()[0])[0]
    kubeconfig = {"kubeadm": "/etc/kubernetes/admin.conf", "k3s": "/etc/rancher/k3s/k3s.yaml"}[DISTRIBUTION[0]]
    user = yaml.safe_load(ssh(first, "cat " + kubeconfig).stdout)["users"][0]["user"]
    pem = "".join(
        base64.b64decode(user["client-%s-data" % part]).decode().strip() + "\n" for part in ("certificate", "key")
    )
    ssh(host, "umask 077; cat >/root/client.pem", input=pem)


def started_on(host, command):
    """Start a command on a node and return its process, with pipes."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(ssh_argv(host, command), text=True, **pipes)


def ask(host, url, program=CLIENT):
    """Start a client on a node. As administrator it asks url ten times a second, until answers() stops it."""
    administrator(host)
    path = "/root/%s.py" % ("writer" if program is WRITER else "client")
    ssh(host, "cat >" + path, input=program)
    return started_on(host, "python3 %s %s" % (path, url))


def answers(client):
    """Stop the client. Return (longest gap in seconds, number of answers, number of failures), of a writer also the
    number of lost writes."""
    output, error = client.communicate()
    words = output.split()
    if len(words) not in (3, 4) or words[1] == "0":
        sys.exit("The client never got an answer: " + (output + error)[-400:])
    return (float(words[0]), *map(int, words[1:]))


def kill_after(seconds, log, name="site"):
    """Start a playbook and kill it with all its children after some seconds.

    Return its last task, or None if it had ended.
    """
    with log.open("w", encoding="utf-8") as out:  # a full pipe would block the run
        command = ["ansible-playbook", "kubewright.cluster." + name, "-i", str(INVENTORY)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
    try:
        process.wait(timeout=seconds)
        return None
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGSTOP)  # so that it starts no more children
    for pid in [*descendants(process.pid), process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    tasks = [line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("TASK")]
    return tasks[-1].strip(" *") if tasks else "before the first task"


def survives(name, at, log):
    """Kill a playbook after `at` seconds, run it again, and once more. Return (good, what happened in words).

    Good: the next run ends with a healthy cluster, and the one after it changes nothing. The log keeps what did not go
    well.
    """
    during = kill_after(at, log, name)
    seconds, output = playbook(name, check=False)
    third = playbook(name, check=False)[1]
    changed = sum(counts["changed"] for counts in recap(third).values())
    good = went_well(output) and went_well(third) and changed == 0
    if not good:
        log.write_text(output + third)
    killed = "killed in " + during if during else "NOT KILLED, it ended before"
    verdicts = ["healthy" if went_well(text) else "FAILED" for text in (output, third)]
    text = "after %.1f s %s: next run %.0f s, %s; the run after it %s, changed %d"
    return good, text % (at, killed, seconds, *verdicts, changed)


def descendants(pid):
    """Return the PIDs of all descendants. Ansible's workers have their own sessions and process groups."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], text=True, capture_output=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in map(str.split, listed.splitlines())}
    found = [pid]
    for one in found:  # the list grows during the loop
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def free_memory():
    """Return the available memory of this machine in MiB."""
    meminfo = pathlib.Path("/proc/meminfo").read_text(encoding="ascii")
    return int(re.search(r"MemAvailable:\s+(\d+)", meminfo)[1]) >> 10


def local_url():
    """Return the URL of a worker's local API endpoint."""
    return "https://127.0.0.1:%d" % {"kubeadm": 7443, "k3s": 6444}[DISTRIBUTION[0]]
