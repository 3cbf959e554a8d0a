# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files in K3s's auto-deploy directory are deployed, changed and removed without restarting K3s."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

testinfra_hosts = ["ansible://kube_control_plane"]
FOLDER = "/var/lib/rancher/k3s/server/manifests/"
PLAIN = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}


def site(tmp_path, *words, **inputs):
    """Run site with other inputs and return {host: number of changed tasks}."""
    given = tmp_path / "inputs.json"
    given.write_text(json.dumps(inputs))
    inventory = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent
    command = ["ansible-playbook", "kubewright.cluster.site", "-i", str(inventory), "-e", f"@{given}", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=PLAIN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    return {host: int(number) for host, number in re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", done.stdout, re.MULTILINE)}


@pytest.fixture
def exists(host):
    """Return a function that checks if an object exists."""
    return lambda *words: host.run("k3s kubectl get " + " ".join(words)).rc == 0


def test_manifests_and_charts_are_deployed(host, exists):
    for name in ("kubewright-web.yaml", "kubewright-login.yaml", "kubewright-chart-db.yaml"):
        assert host.file(FOLDER + name).mode == 0o600, name
    assert exists("configmap web") and exists("secret login") and exists("helmchart db -n kube-system")
    host.check_output("k3s kubectl wait --for=condition=Available --timeout=60s deployment web")


def test_changes_and_removals_do_not_restart_k3s(host, exists, inputs, tmp_path):
    def main_pid():
        return host.check_output("systemctl show --property=MainPID --value k3s")

    before = main_pid()
    manifest = {"name": "web", "content": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {changed: 'yes'}\n"}
    assert sum(site(tmp_path, "--check", k3s_manifests=[manifest], k3s_helm_charts=[]).values()) > 0
    assert exists("deployment web") and exists("helmchart db -n kube-system")
    site(tmp_path, k3s_manifests=[manifest], k3s_helm_charts=[])
    assert host.check_output("k3s kubectl get configmap web -o jsonpath={.data.changed}") == "yes"
    assert not exists("deployment web") and not exists("secret login") and not exists("helmchart db -n kube-system")
    assert not host.file(FOLDER + "kubewright-login.yaml").exists
    assert set(site(tmp_path, k3s_manifests=[manifest], k3s_helm_charts=[]).values()) == {0}
    # Restore the state for later tests.
    site(tmp_path)
    assert exists("deployment web") and exists("secret login")
    assert main_pid() == before
    # verify's namespace is deleted in the background. Wait for that, because other tests check for it.
    for name in host.check_output("k3s kubectl get namespaces -o name").split():
        if "kubewright-verify" in name:
            host.check_output("k3s kubectl wait --for=delete --timeout=60s " + name)
