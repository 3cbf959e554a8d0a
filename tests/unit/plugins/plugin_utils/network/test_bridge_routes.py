# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridge network's routes program: which routes it keeps."""

from __future__ import annotations

import importlib.util
import ipaddress
import os

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema as inputs

SPEC = importlib.util.spec_from_file_location("routes", os.path.join(inputs.ROLES, "network/files/routes.py"))
routes = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(routes)

PODS = ipaddress.IPv4Network("10.244.0.0/16")


def node(address, *networks):
    return {
        "spec": {"podCIDRs": list(networks)},
        "status": {"addresses": [{"type": "Hostname", "address": "x"}, {"type": "InternalIP", "address": address}]},
    }


def test_wanted_leaves_out_the_node_itself_and_the_unfinished():
    nodes = [
        node("10.0.0.1", "10.244.0.0/24"),
        node("10.0.0.2", "fd00::/64", "10.244.1.0/24"),
        node("10.0.0.3"),
        # What a Node says of itself is believed only within the pods' network.
        node("10.0.0.4", "0.0.0.0/0"),
        node("10.0.0.5", "10.96.0.0/16"),
        node("10.0.0.6", "10.244.0.0/16"),
        node("10.0.0.7", "no network"),
        {"spec": {}, "status": {}},
    ]
    assert routes.wanted(nodes, "10.0.0.1", PODS) == {"10.244.1.0/24": "10.0.0.2"}


@pytest.mark.parametrize(
    ("present", "wanted", "expected"),
    [
        ({}, {}, []),
        ({"a": "1"}, {"a": "1"}, []),
        ({}, {"a": "1"}, [["replace", "a", "via", "1", "proto", "107"]]),
        ({"a": "2"}, {"a": "1"}, [["replace", "a", "via", "1", "proto", "107"]]),
        ({"a": "1", "b": "2"}, {"b": "2"}, [["del", "a", "proto", "107"]]),
    ],
)
def test_difference(present, wanted, expected):
    assert routes.difference(present, wanted) == expected


def test_known_routes_come_back_at_a_start(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(routes, "STATE", str(tmp_path / "x/routes.json"))
    monkeypatch.setattr(routes, "present", dict)
    monkeypatch.setattr(routes.subprocess, "run", lambda argv, check: done.append(argv))
    routes.restore(PODS)
    routes.apply({"10.244.1.0/24": "10.0.0.2"})
    routes.restore(PODS)
    assert done == [["ip", "-4", "route", "replace", "10.244.1.0/24", "via", "10.0.0.2", "proto", "107"]] * 2


@pytest.mark.parametrize(("status", "loads"), [(0, False), (1, True)])
def test_a_table_that_was_flushed_is_loaded_again(monkeypatch, status, loads):
    done = []

    def run(argv, **_options):
        done.append(argv[1])
        return type("Result", (), {"returncode": status})

    monkeypatch.setattr(routes.subprocess, "run", run)
    routes.keep_masquerade()
    assert done == (["list", "-f"] if loads else ["list"])
