# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of inputs that a playbook sets as role parameters and play vars."""

from __future__ import annotations

testinfra_hosts = ["ansible://all"]


def test_role_parameters_are_used(host):
    assert "Storage=volatile" in host.file("/etc/systemd/journald.conf.d/50-kubewright.conf").content_string


def test_play_vars_are_used(host):
    assert "http://mirror.example:5000" in host.file("/etc/containerd/certs.d/registry.example/hosts.toml").content_string
