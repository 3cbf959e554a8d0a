# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import etcd as api_etcd, readiness
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s import readiness as k3s_gate


@pytest.mark.parametrize(
    ("condition", "voter", "problem"),
    [(None, False, ""), (None, True, "does not say so yet"), ("True", True, ""), ("False", False, "vote")],
)
def test_a_converted_server_has_to_vote(condition, voter, problem):
    conditions = [{"type": "Ready", "status": "True"}] + (
        [{"type": "EtcdIsVoter", "status": condition}] if condition else []
    )
    found = readiness.node_problem({"status": {"conditions": conditions}}, "cp-1", voter)
    assert problem in found and bool(found) == bool(problem)


def member(number, **more):
    return {"id": number, "peerURLs": ["https://10.0.0.%d:2380" % number], "name": "cp-%d" % number, **more}


def certificates(authority, data):
    """Those that a server's etcd has for its peers."""
    place = data / "server/tls/etcd"
    place.mkdir(parents=True)
    for name, content in zip(("peer-server-client.crt", "peer-server-client.key"), authority.issue("peer")):
        (place / name).write_bytes(content)
    (place / "peer-ca.crt").write_bytes(authority.pem(authority.certificate))


@pytest.fixture
def silent(monkeypatch):
    """An API that does not serve yet."""
    monkeypatch.setattr(k3s_gate, "serving_problem", lambda name: "the API of %s is silent" % name)


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ([member(1), member(2)], ""),
        (
            [member(1), {**member(2, isLearner=True), "name": ""}],
            "its etcd does not vote: https://10.0.0.2:2380 is a learner",
        ),
        ([], "does not vote"),
    ],
)
def test_the_next_server_may_join_once_etcd_tells_its_peers_of_no_learner(
    silent, authority, serve, tmp_path, monkeypatch, members, problem
):
    certificates(authority, tmp_path)
    etcd = serve(authority.serve(lambda request: (200, {}, json.dumps(members).encode()), addresses=("10.0.0.9",)))
    monkeypatch.setattr(api_etcd.peers, "__defaults__", (etcd.port, ""))
    found = k3s_gate.voting_problem("cp-2", str(tmp_path))
    assert problem in found and bool(found) == bool(problem)
    assert [request[:2] for request in etcd.requests] == [("GET", "/members")]


def test_without_etcd_or_while_it_is_silent_the_servers_api_is_asked(silent, authority, tmp_path, monkeypatch):
    assert k3s_gate.voting_problem("cp-2", str(tmp_path)) == "the API of cp-2 is silent"
    certificates(authority, tmp_path)
    monkeypatch.setattr(api_etcd.peers, "__defaults__", (1, ""))
    assert k3s_gate.voting_problem("cp-2", str(tmp_path)) == "the API of cp-2 is silent"
