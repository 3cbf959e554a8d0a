# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of nodes to which routes are looked at."""

from __future__ import annotations

import socket
import time

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import host_inputs


@pytest.mark.parametrize(
    ("host", "variables", "wanted"),
    [
        ("cp1", {"ansible_host": "10.0.0.1"}, "10.0.0.1"),
        ("cp1", {"ansible_host": "203.0.113.1", "kube_node_ip": "10.0.0.1"}, "10.0.0.1"),
        ("cp1", {"ansible_host": "203.0.113.1", "kube_node_ip": "eth1, fd00::1"}, "fd00::1"),
        ("cp1", {"ansible_host": "203.0.113.1", "kube_node_ip": "eth1"}, "203.0.113.1"),
        ("10.0.0.7", {}, "10.0.0.7"),
        ("fd00::7", {}, "fd00::7"),
        ("cp1", {"ansible_host": "[fd00::7]"}, "fd00::7"),
        ("cp1.example.com", {}, "cp1.example.com"),
        ("cp1", {"ansible_host": "{{ x }}"}, "{{ X }}"),
        # A forwarded port says nothing of the node's own address.
        ("cp1", {"ansible_host": "127.0.0.1", "ansible_port": 2222}, ""),
        ("cp1", {"ansible_host": "box", "ansible_connection": "containers.podman.podman"}, ""),
    ],
)
def test_where_a_node_is(host, variables, wanted):
    assert host_inputs.target(host, variables, str.upper) == wanted


def test_one_of_each_network_comes_first_in_a_large_inventory():
    many = ["10.0.0.%d" % number for number in range(1, 200)]
    found = host_inputs.probes([*many, "100.64.0.3", "fd00::5", ""])
    assert len(found) == host_inputs.PROBES and {"100.64.0.3", "fd00::5", "10.0.0.1"} <= set(found)
    assert host_inputs.probes(reversed([*many, "100.64.0.3", "fd00::5"])) == found


def test_names_are_resolved_and_those_that_are_unknown_do_not_count(monkeypatch):
    def answer(name, *_arguments, **_named):
        if name == "slow":
            time.sleep(2)
        if name not in ("cp1", "lo"):
            raise socket.gaierror(name)
        rows = ["fd00::1", "10.0.0.1"] if name == "cp1" else ["127.0.1.1"]
        return [(None, None, None, "", (row, 0)) for row in rows]

    monkeypatch.setattr(host_inputs.socket, "getaddrinfo", answer)
    monkeypatch.setattr(host_inputs, "RESOLVE_SECONDS", 0.5)
    begun = time.monotonic()
    assert host_inputs.probes(["cp1", "lo", "nowhere", "slow", "10.0.0.2"]) == ["10.0.0.1", "10.0.0.2"]
    assert time.monotonic() - begun < 1.9
