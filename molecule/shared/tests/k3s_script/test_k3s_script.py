# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of upstream's install script: its files exist, and the collection records them."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://all"]


@pytest.fixture
def service(host, members, inputs):
    """Return the name of the node's service."""
    return "k3s" if inputs["inventory_hostname"] in members["control_planes"] else "k3s-agent"


def test_the_script_made_the_service(host, service):
    text = host.file(f"/etc/systemd/system/{service}.service").content_string
    assert "kubewright" not in text and "ExecStart=/usr/local/bin/k3s" in text
    assert host.service(service).is_running and host.service(service).is_enabled


def test_the_scripts_for_killing_and_uninstalling_exist(host, service):
    for name in ("k3s-killall.sh", f"{service}-uninstall.sh"):
        assert host.file(f"/usr/local/bin/{name}").mode == 0o755


def test_commands_are_links_to_k3s(host):
    for name in ("kubectl", "crictl", "ctr"):
        assert host.file(f"/usr/local/bin/{name}").linked_to == "/usr/local/bin/k3s"


def test_its_files_are_recorded(host, service, owned):
    made = {f"/etc/systemd/system/{service}.service", f"/usr/local/bin/{service}-uninstall.sh", "/usr/local/bin/kubectl"}
    assert made <= set(owned["files"])


def test_the_data_directory_is_used(host):
    assert host.file("/var/lib/rancher/elsewhere/rancher/k3s/agent").is_directory
    assert not host.file("/var/lib/rancher/k3s").exists
