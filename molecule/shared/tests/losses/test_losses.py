# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three control planes and a worker lose machines, and their certificates. The tests use the same nodes, in order."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import pytest
from expire import expire
from running import SHARED, containers, distribution, groups, kubectl, objects, on, playbook

NAME = os.environ["MOLECULE_SCENARIO_NAME"]
ENGINE = shutil.which("podman") or shutil.which("docker")
PLANES = groups()["kube_control_plane"]["hosts"]
FIRST, LAST, WORKER = PLANES[0], PLANES[-1], groups()["kube_node"]["hosts"][0]
# Prints the digest of the certificate that each port serves.
SERVED = """python3 -c "
import hashlib, socket, ssl
context = ssl._create_unverified_context()
for port in %r:
    with socket.create_connection(('%s', port), 5) as plain, context.wrap_socket(plain) as served:
        print(port, hashlib.sha256(served.getpeercert(True)).hexdigest())
" """


def engine(*words, **options):
    """Run a command of the container engine. Return its output."""
    return subprocess.run([ENGINE, *words], check=True, text=True, stdout=subprocess.PIPE, **options).stdout


def lose(*hosts):
    """Delete machines with all their data."""
    engine("rm", "--force", "--volumes", *hosts)


def new_machines(*hosts):
    """Create machines again that are gone, and record their state."""
    playbook(str(SHARED / "machines.yml"))
    playbook(str(SHARED / "prepare.yml"), "--limit", ",".join(hosts))


def nodes():
    return kubectl(FIRST, "get nodes -o name").split()


def test_a_dead_control_plane_is_removed():
    lose(LAST)
    arguments = ["-e", f"remove_nodes={LAST}", "-e", "remove_dead=true"]
    _changes, output = playbook("remove", *arguments)
    assert "is healthy: " in output
    assert f"node/{LAST}" not in nodes()
    again, output = playbook("remove", *arguments)
    assert set(again.values()) == {0}, output
    new_machines(LAST)
    _changes, output = playbook("site")
    assert "is healthy: " in output and f"node/{LAST}" in nodes()


def test_a_control_plane_that_is_left_brings_the_others_back():
    before, running = objects(FIRST, *PLANES), containers(WORKER)
    lose(*PLANES[1:])
    new_machines(*PLANES[1:])
    changes, output = playbook("restore", "-e", f"restore_from={FIRST}", "-e", f"restore_confirm={NAME}")
    assert "is healthy: " in output
    assert changes[WORKER] == 0 and containers(WORKER) == running
    assert objects(FIRST, *PLANES) == before
    again, output = playbook("site")
    assert set(again.values()) == {0}, output


def served():
    """Return {control plane: lines of port and digest} of the certificates that are served."""
    addresses = {host: address.split()[0] for host, address in ((one, on(one, "hostname -I")) for one in PLANES)}
    found = {host: on(host, SERVED % ((6443, 2379, 2380), addresses[host])) for host in PLANES}
    return {host: text.strip().splitlines() for host, text in found.items()}


def test_every_certificate_that_is_served_is_renewed():
    before = served()
    _changes, output = playbook("rotate", "-e", "rotate_force=true")
    assert "is healthy: " in output
    after = served()
    for host in PLANES:
        assert len(after[host]) == len(before[host]) == 3
        assert not set(after[host]) & set(before[host])
    again, output = playbook("rotate")
    assert set(again.values()) == {0}, output


def read(host, path):
    return engine("exec", host, "cat", path)


def write(host, path, text):
    engine("exec", "--interactive", host, "sh", "-c", f"cat >{path}", input=text)


@pytest.mark.skipif(distribution() == "k3s", reason="K3s renews certificates that expire when it starts")
def test_a_cluster_whose_certificates_expired_while_it_was_off_comes_back():
    expire(PLANES, [WORKER], read, write)
    engine("restart", "--time", "5", *PLANES, WORKER)
    time.sleep(20)
    with pytest.raises(AssertionError, match="kubewright.cluster.rotate"):
        playbook("site")
    _changes, output = playbook("rotate")
    assert "is healthy: " in output
    for name in ("rotate", "site"):
        again, output = playbook(name)
        assert set(again.values()) == {0}, output
