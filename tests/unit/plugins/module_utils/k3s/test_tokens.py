# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials of a running server: reinstalled nodes are forgotten for good, and tokens are made in its own cluster."""

from __future__ import annotations

import os

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s import tokens
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s.tokens import K3sError
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths

TOKEN = "abcdef.0123456789abcdef"
NODE = "/api/v1/nodes/w-1"


class Api:
    """A cluster with one Node, which stays for some more requests after it was deleted."""

    def __init__(self, stays, ready=0):
        self.stays, self.ready, self.calls, self.deleted = stays, ready, [], False

    def delete(self, path):
        self.calls.append("DELETE " + path)
        self.deleted = True

    def get(self, path, missing_ok=False):
        assert missing_ok
        if not self.deleted:
            self.ready -= 1
            status = "True" if self.ready >= 0 else "Unknown"
            return {"status": {"conditions": [{"type": "Ready", "status": status}]}}
        self.calls.append("GET " + path)
        self.stays -= 1
        finalizers = ["wrangler.cattle.io/node", "wrangler.cattle.io/managed-etcd-controller"]
        return {"metadata": {"finalizers": finalizers}} if self.stays >= 0 else None


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Return a function that makes a server whose API keeps a deleted Node for so many requests."""
    (tmp_path / "server").mkdir()
    (tmp_path / "server/token").write_text("K10%s::server:secret\n" % ("a" * 64))
    monkeypatch.setattr(paths, "K3S_AGENT_TOKEN", str(tmp_path / "none"))
    monkeypatch.setattr(tokens.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(tokens, "local_server", lambda: ("127.0.0.1", 6443))

    def make(stays, ready=0):
        api = Api(stays, ready)
        monkeypatch.setattr(tokens, "Api", lambda *_arguments: api)
        return api

    return make


@pytest.mark.parametrize("stays", [0, 3])
def test_a_forgotten_node_is_waited_for_until_it_is_gone(server, tmp_path, stays):
    api = server(stays)
    tokens.credentials(str(tmp_path), ["w-1"])
    secret = "/api/v1/namespaces/kube-system/secrets/w-1.node-password.k3s"
    assert api.calls == ["DELETE " + secret, "DELETE " + NODE, *["GET " + NODE] * (stays + 1)]


def test_a_node_that_was_reset_a_moment_ago_is_waited_for(server, tmp_path):
    api = server(0, ready=3)
    tokens.credentials(str(tmp_path), ["w-1"])
    assert api.deleted and api.ready < 0


def test_a_node_that_stays_ready_is_another_machines_and_is_not_forgotten(server, tmp_path, monkeypatch):
    api = server(0, ready=10**6)
    monkeypatch.setattr(tokens, "LOST_SECONDS", 0)
    with pytest.raises(K3sError, match="names of new ones: w-1. Nothing was deleted"):
        tokens.credentials(str(tmp_path), ["w-1"])
    assert api.calls == []


def test_a_node_that_its_finalizers_keep_is_named_with_the_way_out(server, tmp_path, monkeypatch):
    server(10**6)
    monkeypatch.setattr(tokens, "GONE_SECONDS", 0)
    with pytest.raises(K3sError, match=r"The Node w-1 was .*managed-etcd-controller.*bring the other servers back"):
        tokens.credentials(str(tmp_path), ["w-1"])


def test_without_nodes_to_forget_no_api_is_needed(server, tmp_path, monkeypatch):
    monkeypatch.setattr(tokens, "Api", None)
    assert tokens.credentials(str(tmp_path), [])["server"].startswith("K10")


def test_a_token_is_made_in_this_cluster_whatever_kubeconfig_the_environment_names(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "/root/.kube/another-cluster")
    program = tmp_path / "k3s"
    program.write_text('#!/bin/sh\n[ "$KUBECONFIG" = %s ] && echo %s\n' % (paths.K3S_ADMIN, TOKEN))
    os.chmod(program, 0o755)
    assert tokens.bootstrap(str(program), "1h") == TOKEN


@pytest.mark.parametrize(
    ("server", "agents", "found"),
    [
        ("K10d::server:s", "a", {"server": "K10d::server:s", "agent": "K10d::node:a", "agent_token": "a"}),
        ("K10d::server:s", "K10d::node:a", {"server": "K10d::server:s", "agent": "K10d::node:a", "agent_token": "a"}),
        # Without a token of their own, or without the authority's digest, agents join with the servers'.
        ("K10d::server:s", "", {"server": "K10d::server:s", "agent": "K10d::server:s", "agent_token": ""}),
        ("s", "a", {"server": "s", "agent": "s", "agent_token": "a"}),
    ],
)
def test_what_others_join_with(tmp_path, monkeypatch, server, agents, found):
    (tmp_path / "server").mkdir()
    (tmp_path / "server/token").write_text(server + "\n")
    (tmp_path / "agent-token").write_text(agents + "\n")
    monkeypatch.setattr(paths, "K3S_AGENT_TOKEN", str(tmp_path / "agent-token"))
    monkeypatch.setattr(tokens, "bootstrap", lambda _program, ttl: "expires in " + ttl)
    assert tokens.credentials(str(tmp_path), []) == found
    assert tokens.credentials(str(tmp_path), [], "1h") == {**found, "agent": "expires in 1h"}


def test_a_node_that_is_no_server_has_no_credentials(tmp_path):
    with pytest.raises(K3sError, match="server/token is missing"):
        tokens.credentials(str(tmp_path), [])


def test_agents_keep_the_token_that_they_have(tmp_path, monkeypatch):
    for name in ("K3S_TOKEN", "K3S_AGENT_TOKEN"):
        monkeypatch.setattr(paths, name, str(tmp_path / name))
    (tmp_path / "K3S_AGENT_TOKEN").write_text("former\n")
    assert tokens.make(str(tmp_path)) and (tmp_path / "K3S_AGENT_TOKEN").read_text() == "former\n"
