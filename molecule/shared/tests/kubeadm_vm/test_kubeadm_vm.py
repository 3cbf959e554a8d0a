# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of kubeadm on a machine with its own kernel."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

testinfra_hosts = ["ansible://kube_control_plane"]


def kubectl(host, *words):
    return host.check_output("kubectl --cache-dir=/run/kubectl --kubeconfig=/etc/kubernetes/admin.conf " + " ".join(words))


def test_systemd_manages_the_cgroups(host):
    name = host.check_output("hostname")
    config = json.loads(kubectl(host, "get", "--raw", f"/api/v1/nodes/{name}/proxy/configz"))["kubeletconfig"]
    assert config["cgroupDriver"] == "systemd"
    assert config["failSwapOn"] is True
    assert "SystemdCgroup = true" in host.file("/etc/containerd/config.toml").content_string
    assert host.check_output("systemctl is-active kubepods.slice") == "active"


def test_no_preflight_check_was_ignored(tmp_path):
    inventory = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent
    plan = tmp_path / "plan.json"
    command = ["ansible-playbook", "kubewright.cluster.plan", "-i", str(inventory), "-e", f"plan_json={plan}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    text = plan.read_text()
    assert "nodeRegistration" in text
    assert "ignorePreflightErrors" not in text
