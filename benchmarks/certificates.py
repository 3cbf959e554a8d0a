# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the playbook rotate on the lab's nodes.

    python benchmarks/certificates.py renew      renew all certificates under a client that asks ten times a second
    python benchmarks/certificates.py expired    let all expire, switch the nodes off and on, bring the cluster back
    python benchmarks/certificates.py both

The lab must be up (tests/lab/lab up). The nodes (cluster "bench") are created at the start and removed at the end.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from bench import ROOT, answers, ask, local_url, make, nodes, playbook, recap, remove, ssh, ssh_argv

sys.path.insert(0, str(ROOT / "molecule/shared/tests"))

from expire import expire  # noqa: E402

SERIALS = r"""
for port in 6443 2379 2380; do
  python3 -c 'import ssl, sys, hashlib; c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT); c.check_hostname = False
c.verify_mode = 0; import socket; s = c.wrap_socket(socket.create_connection((sys.argv[1], int(sys.argv[2])), 3))
print(sys.argv[2], hashlib.sha256(s.getpeercert(True)).hexdigest()[:16])' ADDRESS $port
done
for name in kube-apiserver kube-controller-manager kube-scheduler etcd; do
  crictl ps -q --name "^$name$" | cut -c1-12
done
"""


# Prints the time of the first answer.
WAIT = """
import ssl, sys, time, urllib.request
while True:
    try:
        urllib.request.urlopen(sys.argv[1], timeout=2, context=ssl._create_unverified_context()).read()
        break
    except OSError:
        time.sleep(0.2)
print(time.time())
"""


def read(host: str, path: str) -> str:
    return ssh(host, "cat " + path).stdout


def write(host: str, path: str, text: str) -> None:
    ssh(host, "cat >" + path, input=text)


def served(planes) -> dict:
    """Return what each control plane serves, and its containers."""
    return {host: ssh(host, SERIALS.replace("ADDRESS", address)).stdout.split() for host, address in planes.items()}


def again() -> str:
    """Run rotate once more. Return how long it took, and how much it changed."""
    seconds, output = playbook("rotate")
    changed = sum(row["changed"] for row in recap(output).values())
    return "second run: %.1f s (target: at most 10), changed %d (must be 0)" % (seconds, changed)


def renew() -> None:
    """Renew everything while a client at a worker's local endpoint reads."""
    planes, workers, _variables = nodes()
    before = served(planes)
    client = ask(list(workers)[0], local_url())
    time.sleep(5)
    seconds, output = playbook("rotate", "-e", "rotate_force=true")
    time.sleep(5)
    text = "renewed in %.0f s; longest gap %.2f s (target: at most 1); %d answers, %d failures"
    print(text % (seconds, *answers(client)), flush=True)
    after = served(planes)
    same = [host for host in planes if set(before[host]) & set(after[host]) - {"6443", "2379", "2380"}]
    print("old certificates or containers still there: %s (must be none)" % (", ".join(same) or "none"))
    print(again(), flush=True)
    if same:
        sys.exit(output[-4000:])


def lost() -> None:
    """Bring back a cluster that was off until all of its certificates had expired."""
    planes, workers, _variables = nodes()
    expire(planes, workers, read, write)
    everything = [*planes, *workers]
    subprocess.run(["podman", "restart", "-t", "5", *everything], check=True, stdout=subprocess.DEVNULL)
    time.sleep(20)
    answer = ssh(list(planes)[0], "kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes")
    print("before: %s" % (answer.stdout + answer.stderr).strip().splitlines()[-1])
    seconds, output = playbook("site", check=False)
    refused = "rotate" in output and not any(row["changed"] for row in recap(output).values())
    print("site: refused in %.0f s" % seconds if refused else "site: NOT REFUSED\n" + output[-2000:])
    client = ask_late(list(workers)[0])
    seconds, output = playbook("rotate")
    print(
        "back and verified in %.0f s; first answer after %.0f s (target: at most 90)" % (seconds, first_answer(client))
    )
    print(again(), flush=True)


def ask_late(host):
    """Start to wait on a node for the first answer of the API. Anybody may ask for its health."""
    command = "python3 -c '%s' %s/readyz" % (WAIT, local_url())
    return time.time(), subprocess.Popen(ssh_argv(host, command), text=True, stdout=subprocess.PIPE)


def first_answer(client) -> float:
    """Return after how many seconds the API answered."""
    started, process = client
    return float(process.communicate()[0]) - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["renew", "expired", "both"])
    parser.add_argument("--control-planes", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="do not remove the nodes at the end")
    options = parser.parse_args()
    make(options.control_planes, 1)
    print("site: %.0f s" % playbook("site")[0], flush=True)
    for name, work in (("renew", renew), ("expired", lost)):
        if options.command in (name, "both"):
            work()
    if not options.keep:
        remove()


if __name__ == "__main__":
    main()
