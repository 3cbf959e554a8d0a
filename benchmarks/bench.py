# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the measures share: nodes in containers, playbooks run on them, a client that asks the API."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import time

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("KUBEWRIGHT_CACHE", pathlib.Path.home() / ".cache/kubewright"))
NAME = "bench"
INVENTORY = CACHE / "clusters" / NAME / "inventory.yml"
VERSION = "1.36.3"
# The inventory's one line that differs; main() sets it.
DISTRIBUTION = ["kubeadm"]


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
    change({"kube_distribution": DISTRIBUTION[0], "kube_version": VERSION, **(variables or {})})


def change(variables):
    """Other variables for all nodes."""
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
        sys.exit("the bare script failed:\n" + done.stdout[-4000:])
    return time.monotonic() - started


CLIENT = r"""
import ssl, sys, time, urllib.error, urllib.request
context = ssl._create_unverified_context()
end, last, longest, good, bad = time.time() + float(sys.argv[2]), time.time(), 0, 0, 0
while time.time() < end:
    start = time.time()
    try:
        try:
            urllib.request.urlopen(sys.argv[1] + "/readyz", timeout=2, context=context).read()
        except urllib.error.HTTPError as error:  # K3s answers 401 to who does not say his name
            if error.code != 401:
                raise
        longest, last, good = max(longest, time.time() - last), time.time(), good + 1
    except OSError:
        bad += 1
    time.sleep(max(0, 0.1 - (time.time() - start)))
print("%.1f %d %d" % (max(longest, time.time() - last), good, bad))
"""


def ask(host, url, seconds):
    """Start the client on a node: it asks url ten times a second. Its output is "longest gap, answers, failures"."""
    ssh(host, "cat >/root/client.py <<'PY'\n%s\nPY" % CLIENT)
    planes, workers, variables = nodes()
    argv = [
        "ssh",
        "-i",
        variables["ansible_ssh_private_key_file"],
        *["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"],
        "root@" + {**planes, **workers}[host],
    ]
    return subprocess.Popen([*argv, "python3 /root/client.py %s %d" % (url, seconds)], text=True, stdout=subprocess.PIPE)


def local_url():
    """Where a worker finds the API by itself."""
    return "https://127.0.0.1:%d" % {"kubeadm": 7443, "k3s": 6444}[DISTRIBUTION[0]]
