# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only a machine with a kernel of its own can show. It was rebooted after Kubernetes came onto it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

testinfra_hosts = ["ansible://kube_control_plane"]


def kubectl(host, *words):
    return host.check_output("kubectl --cache-dir=/run/kubectl --kubeconfig=/etc/kubernetes/admin.conf " + " ".join(words))


def test_control_groups_are_of_version_2(host):
    assert host.check_output("stat -fc %T /sys/fs/cgroup") == "cgroup2fs"


def test_systemd_keeps_the_control_groups(host):
    name = host.check_output("hostname")
    config = json.loads(kubectl(host, "get", "--raw", f"/api/v1/nodes/{name}/proxy/configz"))["kubeletconfig"]
    assert config["cgroupDriver"] == "systemd"
    assert config["failSwapOn"] is True
    assert "SystemdCgroup = true" in host.file("/etc/containerd/config.toml").content_string
    assert host.check_output("systemctl is-active kubepods.slice") == "active"


def test_swap_stayed_off(host):
    assert len(host.file("/proc/swaps").content_string.splitlines()) == 1
    lines = host.file("/etc/fstab").content_string.splitlines()
    assert [line for line in lines if "swap" in line]
    assert not [line for line in lines if "swap" in line and not line.startswith("#")]
    # Its settings are the host's own and still there.
    assert "[zram0]" in host.file("/etc/systemd/zram-generator.conf").content_string


@pytest.mark.parametrize("name", ["overlay", "br_netfilter"])
def test_modules_are_loaded_at_boot(host, name):
    assert host.file(f"/sys/module/{name}").is_directory
    assert name in host.file("/etc/modules-load.d/kubewright.conf").content_string.split()


def test_kernel_settings_are_made_at_boot(host):
    lines = host.file("/etc/sysctl.d/99-kubewright.conf").content_string.splitlines()
    wanted = dict(line.replace(" ", "").split("=") for line in lines if "=" in line and not line.startswith(("#", ";")))
    assert wanted
    assert {name: str(host.sysctl(name)) for name in wanted} == wanted


def test_no_unit_failed(host):
    assert host.check_output("systemctl --failed --no-legend --plain") == ""


def test_no_check_of_kubeadm_was_ignored(tmp_path):
    inventory = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent
    plan = tmp_path / "plan.json"
    command = ["ansible-playbook", "kubewright.cluster.plan", "-i", str(inventory), "-e", f"plan_json={plan}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    text = plan.read_text()
    assert "nodeRegistration" in text
    assert "ignorePreflightErrors" not in text
