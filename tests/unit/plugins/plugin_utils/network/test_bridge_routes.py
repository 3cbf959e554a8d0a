# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridge network's routes program: which routes it keeps."""

from __future__ import annotations

import importlib.util
import ipaddress
import json
import os

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema as inputs

SPEC = importlib.util.spec_from_file_location("routes", os.path.join(inputs.ROLES, "network/files/routes.py"))
routes = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(routes)

PODS = [ipaddress.ip_network("10.244.0.0/16"), ipaddress.ip_network("fd42:244::/56")]


def node(address, *networks, name="", created=""):
    """A Node with an address, or two of them with a comma between."""
    addresses = [{"type": "InternalIP", "address": text} for text in address.split(",")]
    return {
        "metadata": {"name": name or address, "creationTimestamp": created},
        "spec": {"podCIDRs": list(networks)},
        "status": {"addresses": [{"type": "Hostname", "address": "x"}, *addresses]},
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
        # Another size than this node's own.
        node("10.0.0.8", "10.244.128.0/17"),
        node("10.0.0.9", "10.244.9.9/32"),
        # Of that size, and somebody else's: a LAN, a Service's.
        node("10.0.0.11", "192.168.1.0/24"),
        node("10.0.0.12", "10.96.0.0/24"),
        # The own network.
        node("10.0.0.10", "10.244.0.0/24"),
        {"spec": {}, "status": {}},
    ]
    assert routes.wanted(nodes, ["10.0.0.1"], PODS) == {"10.244.1.0/24": "10.0.0.2"}


def test_a_network_that_two_nodes_claim_belongs_to_the_older_one():
    nodes = [
        node("10.0.0.1", "10.244.0.0/24"),
        node("10.0.0.9", "10.244.1.0/24", name="a", created="2026-02-01T00:00:00Z"),
        node("10.0.0.2", "10.244.1.0/24", name="b", created="2026-01-01T00:00:00Z"),
    ]
    assert routes.wanted(nodes, ["10.0.0.1"], PODS) == {"10.244.1.0/24": "10.0.0.2"}
    # So does an address: here that of this node.
    nodes.append(node("10.0.0.1", "10.244.128.0/17", name="c", created="2026-03-01T00:00:00Z"))
    assert routes.wanted(nodes, ["10.0.0.1"], PODS) == {"10.244.1.0/24": "10.0.0.2"}


def test_both_families():
    own, other = "10.0.0.1,fd00::1", "10.0.0.2,fd00::2"
    nodes = [
        node(own, "10.244.0.0/24", "fd42:244::/64"),
        node(other, "10.244.1.0/24", "fd42:244:0:1::/64"),
        node("10.0.0.3", "10.244.2.0/24", "fd42:244:0:2::/64"),
    ]
    assert routes.wanted(nodes, own.split(","), PODS) == {
        "10.244.1.0/24": "10.0.0.2",
        "fd42:244:0:1::/64": "fd00::2",
        "10.244.2.0/24": "10.0.0.3",
    }


def test_without_a_network_of_its_own_a_node_changes_no_route(monkeypatch):
    """It has not joined yet, or somebody deleted its Node."""
    monkeypatch.setattr(routes, "present", None)
    assert routes.wanted([node("10.0.0.2", "10.244.1.0/24")], ["10.0.0.1"], PODS) is None
    routes.apply(None, PODS)


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


def test_routes_of_others_are_never_replaced(monkeypatch):
    rows = [
        {"dst": "10.244.1.0/24", "gateway": "192.168.1.1", "dev": "eth0", "protocol": "static"},
        {"dst": "10.244.2.0/24", "gateway": "10.0.0.3", "protocol": "107"},
        {"dst": "default", "gateway": "192.168.1.1", "dev": "eth0"},
    ]
    answer = type("Result", (), {"stdout": json.dumps(rows).encode()})
    monkeypatch.setattr(routes.subprocess, "run", lambda *_arguments, **_named: answer)
    assert routes.present("-4") == ({"10.244.2.0/24": "10.0.0.3"}, {"10.244.1.0/24", "default"})
    assert routes.difference({}, {"10.244.1.0/24": "10.0.0.2"}, {"10.244.1.0/24"}) == []


def test_known_routes_come_back_at_a_start(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(routes, "STATE", str(tmp_path / "x/routes.json"))
    monkeypatch.setattr(routes, "present", lambda _family: ({}, set()))
    monkeypatch.setattr(routes.subprocess, "run", lambda argv, check: done.append(argv))
    routes.restore(PODS)
    routes.apply({"10.244.1.0/24": "10.0.0.2", "fd42:244:0:1::/64": "fd00::2"}, PODS)
    routes.restore(PODS)
    assert (
        done
        == [
            ["ip", "-4", "route", "replace", "10.244.1.0/24", "via", "10.0.0.2", "proto", "107"],
            ["ip", "-6", "route", "replace", "fd42:244:0:1::/64", "via", "fd00::2", "proto", "107"],
        ]
        * 2
    )


@pytest.mark.parametrize(("status", "loads"), [(0, False), (1, True)])
def test_a_table_that_was_flushed_is_loaded_again(monkeypatch, status, loads):
    done = []

    def run(argv, **_options):
        done.append(argv[1])
        return type("Result", (), {"returncode": status})

    monkeypatch.setattr(routes.subprocess, "run", run)
    routes.keep_masquerade(PODS)
    assert done == (["list", "-f"] if loads else ["list", "list"])


def test_one_of_two_families_that_was_flushed_is_loaded_again(monkeypatch):
    done = []

    def run(argv, **_options):
        done.append(argv[1:4])
        return type("Result", (), {"returncode": int("ip6" in argv)})

    monkeypatch.setattr(routes.subprocess, "run", run)
    routes.keep_masquerade(PODS)
    assert done == [["list", "table", "ip"], ["list", "table", "ip6"], ["-f", routes.MASQUERADE]]


class Connection:
    """An API server with these Nodes, which then tells events. status: of its answers."""

    def __init__(self, nodes, events=(), status=200):
        self.lines, self.status, self.closed, self.paths = (
            [json.dumps(event).encode() for event in events],
            status,
            0,
            [],
        )
        self.listed = json.dumps({"metadata": {"resourceVersion": "7"}, "items": nodes}).encode()

    def request(self, _method, path):
        self.paths.append(path)

    def getresponse(self):
        return self

    def __iter__(self):
        return iter(self.lines)

    def read(self, _size=None):
        return self.listed if self.status == 200 else b"forbidden"

    def close(self):
        self.closed += 1


@pytest.fixture
def follow(monkeypatch):
    """Follow an API; returns what was applied."""

    def run(connection):
        applied = []
        monkeypatch.setattr(routes, "connect", lambda: connection)
        monkeypatch.setattr(routes, "apply", lambda found, _pods: applied.append(found))
        try:
            routes.follow(["10.0.0.1"], PODS)
        finally:
            assert connection.closed == 1
            run.applied = applied
        return applied

    return run


def event(kind, *given, **more):
    return {"type": kind, "object": node(*given, **more)}


def test_routes_follow_the_nodes(follow):
    two, three = ("10.0.0.2", "10.244.1.0/24"), ("10.0.0.3", "10.244.2.0/24")
    connection = Connection(
        [node("10.0.0.1", "10.244.0.0/24"), node(*two)],
        [
            event("ADDED", *three),
            event("MODIFIED", "10.0.0.2"),
            event("BOOKMARK", "10.0.0.9", "10.244.9.0/24"),
            event("DELETED", *three),
            {"type": "ERROR", "object": {"code": 410}},
            event("ADDED", *three),
        ],
    )
    first, second = {"10.244.1.0/24": "10.0.0.2"}, {"10.244.2.0/24": "10.0.0.3"}
    assert follow(connection) == [first, {**first, **second}, second, second, {}]
    assert "watch=true&resourceVersion=7&" in connection.paths[1]


def test_an_answer_that_is_an_error_is_no_list_of_nodes(follow):
    with pytest.raises(ValueError, match="HTTP 403 forbidden"):
        follow(Connection([], status=403))
    assert follow.applied == []


def test_each_round_looks_after_the_masquerade_and_a_silent_api_is_said_once(monkeypatch, capsys):
    rounds, kept = [OSError("refused"), OSError("refused"), None, OSError("refused"), SystemExit()], []
    monkeypatch.setattr(routes.sys, "argv", ["routes.py", "10.0.0.1", "10.244.0.0/16,fd42:244::/56"])
    monkeypatch.setattr(routes, "restore", kept.append)
    monkeypatch.setattr(routes, "keep_masquerade", kept.append)
    monkeypatch.setattr(routes.time, "sleep", lambda _seconds: None)

    def turn(own, pods):
        assert own == ["10.0.0.1"] and pods == PODS
        result = rounds.pop(0)
        if result:
            raise result

    monkeypatch.setattr(routes, "follow", turn)
    with pytest.raises(SystemExit):
        routes.main()
    assert kept == [PODS] * 6 and capsys.readouterr().out == "waiting for the API: refused\n" * 2
