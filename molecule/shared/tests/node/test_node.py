# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of a node's operating system."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://all"]


@pytest.mark.parametrize("name", ["net.ipv4.ip_forward", "net.bridge.bridge-nf-call-iptables"])
def test_kernel_settings(host, name):
    assert host.sysctl(name) == 1
    assert f"{name} = 1" in host.file("/etc/sysctl.d/99-kubewright.conf").content_string


def test_modules_are_loaded_at_boot(host):
    listed = host.file("/etc/modules-load.d/kubewright.conf")
    assert listed.mode == 0o644
    assert {"overlay", "br_netfilter"} <= set(listed.content_string.split())


def test_commands_that_kubernetes_needs(host):
    for command in ("conntrack", "iptables", "mount", "socat"):
        assert host.exists(command), command


def test_the_hosts_own_files_are_not_touched(host, inputs, owned):
    assert host.check_output("hostname") == inputs["inventory_hostname"]
    assert host.service("ssh").is_running
    ours = set(owned["files"])
    assert not ours & {"/etc/resolv.conf", "/etc/hosts", "/etc/hostname", "/etc/ssh/sshd_config"}


def test_the_record_matches_the_files(host, owned):
    assert host.file("/etc/kubewright/owned.json").mode == 0o644
    for path in owned["files"]:
        assert host.file(path).exists, path
