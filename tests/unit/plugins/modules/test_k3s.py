# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""k3s writes tokens before the start, starts or restarts a service only for a reason, and check mode does nothing."""

from __future__ import annotations

import os

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import Result
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s import datastore, readiness, runner, tokens
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s.tokens import K3sError
from ansible_collections.kubewright.cluster.plugins.module_utils.node import ownership, paths, services
from ansible_collections.kubewright.cluster.plugins.module_utils.restore.aside import Journal
from ansible_collections.kubewright.cluster.plugins.modules import k3s

SECRET = {
    "server": "K10" + "a" * 64 + "::server:" + "b" * 64,
    "agent": "K10" + "a" * 64 + "::node:" + "c" * 64,
    "agent_token": "c" * 64,
}


class Manager:
    """A service manager: what it was asked to do, and whether the service runs."""

    def __init__(self):
        self.calls, self.running, self.processes = [], False, [None]

    def active(self, name):
        return self.running

    def start(self, name, restart):
        self.calls.append(("restart" if restart else "start", name, os.path.exists(paths.K3S_TOKEN)))
        return Result(0)

    def process(self, name):
        return self.processes.pop(0) if len(self.processes) > 1 else self.processes[0]

    def restarts(self, name):
        return 0

    def log(self, name, lines):
        return ""


@pytest.fixture
def manager(tmp_path, monkeypatch):
    made = Manager()
    monkeypatch.setattr(services, "here", lambda: made)
    monkeypatch.setattr(paths, "K3S_TOKEN", str(tmp_path / "token"))
    monkeypatch.setattr(paths, "K3S_AGENT_TOKEN", str(tmp_path / "agent-token"))
    monkeypatch.setattr(paths, "OWNERSHIP_RECORD", str(tmp_path / "record.json"))
    monkeypatch.setattr(ownership, "LOCK", str(tmp_path / "lock"))
    for name in ("K3S_SECRETS", "K3S_CONFIG"):
        monkeypatch.setattr(paths, name, str(tmp_path / "none"))
    monkeypatch.setattr(runner, "SELINUX", str(tmp_path / "none"))
    monkeypatch.setattr(readiness, "etcd_before", lambda: ("100", {"1": "n-0a1b2c3d"}))
    for name in ("voting_problem", "serving_problem", "server_problem", "agent_problem"):
        monkeypatch.setattr(readiness, name, lambda *_arguments, name=name, **_more: made.calls.append(name) or "")
    return made


@pytest.fixture
def start(run_module, manager, tmp_path):
    return lambda **more: run_module(
        k3s, **{"state": "started", "node_name": "n", "data_dir": str(tmp_path / "k3s"), **more}
    )


def test_the_first_server_has_tokens_before_it_starts(start, manager, tmp_path):
    done = start(init=True)
    assert done["changed"] and manager.calls == [("restart", "k3s", True), "server_problem"]
    assert {oct(os.stat(tmp_path / name).st_mode & 0o777) for name in ("token", "agent-token")} == {"0o600"}
    manager.calls.clear()
    manager.running = True
    assert not start(init=True)["changed"] and manager.calls == ["server_problem"]


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("server", {"token": SECRET["server"], "agent-token": SECRET["agent_token"]}),
        ("agent", {"token": SECRET["agent"]}),
    ],
)
def test_a_node_joins_with_its_own_token_in_files_only(start, manager, tmp_path, role, expected):
    done = start(role=role, credentials=SECRET)
    found = {
        name: (tmp_path / name).read_text().strip() for name in ("token", "agent-token") if (tmp_path / name).exists()
    }
    assert found == expected and not any(secret in str(done) for secret in SECRET.values())
    assert manager.calls == [("restart", "k3s" if role == "server" else "k3s-agent", True), "%s_problem" % role]


def test_a_server_that_joins_again_has_its_restore_behind_it(start, tmp_path):
    row = {"archive": "a", "at": "20261129T120000Z", "leader": "cp-1", "first": False, "step": "stopped"}
    Journal().write(row)
    start(role="agent", credentials=SECRET)
    start(credentials=SECRET, until="started")
    start(restart=True)
    assert Journal().read() == row
    start(credentials=SECRET, until="voting")
    assert Journal().read() == {}


def test_a_running_service_is_restarted_only_if_that_is_wanted(start, manager):
    manager.running = True
    assert not start()["changed"] and manager.calls == ["server_problem"]
    assert start(restart=True)["changed"] and manager.calls[1][0] == "restart"


def test_a_server_with_a_database_is_restarted_even_if_it_only_tries_to_start(start, manager):
    start(database="postgres at db")
    assert manager.calls[0][0] == "restart"


@pytest.mark.parametrize(
    ("until", "question"),
    [("voting", "voting_problem"), ("serving", "serving_problem"), ("ready", "server_problem"), ("started", None)],
)
def test_what_is_waited_for(start, manager, until, question):
    start(until=until)
    assert [call for call in manager.calls if isinstance(call, str)] == ([question] if question else [])


def test_a_node_that_does_not_serve_fails_with_the_reason(start, monkeypatch):
    monkeypatch.setattr(
        readiness, "server_problem", lambda *_arguments, **_more: "token %s is refused" % SECRET["server"]
    )
    failed = start(timeout=0)
    assert (
        failed["failed"] and ": k3s does not serve after 0 s" in failed["msg"] and SECRET["server"] not in failed["msg"]
    )


def test_a_service_that_does_not_start_fails(start, manager, monkeypatch):
    monkeypatch.setattr(manager, "start", lambda *_arguments: Result(1, "", "Unit k3s.service not found."))
    assert start()["msg"] == "k3s: Unit k3s.service not found."


@pytest.mark.parametrize(
    ("arguments", "running", "changed"),
    [
        ({"state": "started", "node_name": "n"}, True, False),
        ({"state": "started", "node_name": "n"}, False, True),
        ({"state": "started", "node_name": "n", "restart": True}, True, True),
        ({"state": "started", "node_name": "n", "init": True}, True, True),
        ({"state": "started", "node_name": "n", "convert": True}, True, True),
        ({"state": "unpacked"}, True, True),
        ({"state": "credentials"}, True, False),
    ],
)
def test_check_mode_predicts_and_does_nothing(run_module, manager, tmp_path, arguments, running, changed):
    manager.running = running
    done = run_module(k3s, check=True, data_dir=str(tmp_path / "k3s"), **arguments)
    assert done["changed"] == changed and manager.calls == [] and os.listdir(tmp_path) == []


def test_credentials_are_read_and_failures_told(run_module, manager, tmp_path, monkeypatch):
    failed = run_module(k3s, state="credentials", data_dir=str(tmp_path))
    assert failed["failed"] and "not a running server" in failed["msg"]
    monkeypatch.setattr(tokens, "credentials", lambda *_arguments: SECRET)
    assert run_module(k3s, state="credentials")["credentials"] == SECRET
    assert run_module(k3s, state="credentials", ttl="1h")["changed"]


def test_the_install_script_is_run_for_the_role(run_module, monkeypatch):
    called = []
    monkeypatch.setattr(runner, "install", lambda *arguments: called.append(arguments))
    script = {"path": "/x", "makes": ["/a"], "perhaps": []}
    assert run_module(k3s, state="installed", role="agent", script=script)["changed"]
    assert called == [("/x", "agent", ["/a"], [])]
    monkeypatch.setattr(runner, "install", lambda *_arguments: (item for item in ()).throw(K3sError("no way")))
    assert run_module(k3s, state="installed", script=script)["msg"] == "no way"


def test_a_damaged_record_stops_the_install_script(run_module, record, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own/owned.json").write_text("{")
    (tmp_path / "script").write_text("touch %s/ran\n" % tmp_path)
    failed = run_module(k3s, state="installed", script={"path": str(tmp_path / "script"), "makes": [], "perhaps": []})
    assert failed["failed"] and "is damaged" in failed["msg"] and not (tmp_path / "ran").exists()


def test_the_gate_does_not_listen_to_the_process_that_stops(start, manager, monkeypatch):
    waits = []
    monkeypatch.setattr(runner.time, "sleep", waits.append)
    old = services.Process("100", "a", 0, True, 5.0)
    # Asked before the restart, three times in vain, and then of the new process, which may have the same number.
    manager.running = True
    manager.processes = [old, old, old._replace(settled=False), old._replace(restarts=1), old._replace(invocation="b")]
    start(restart=True)
    assert len(waits) == 3 and manager.calls[-1] == "server_problem"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [({"restart": True}, "100"), ({}, ""), ({"restart": True, "convert": True}, "")],
)
def test_a_restarted_server_has_to_be_in_the_etcd_cluster_that_it_was_in(
    start, manager, monkeypatch, arguments, expected
):
    asked = []
    monkeypatch.setattr(runner, "convert", lambda *_arguments: "")
    monkeypatch.setattr(
        readiness,
        "server_problem",
        lambda *_arguments, **more: asked.append((more["etcd_cluster"], len(more["etcd_members"]))) or "",
    )
    manager.running = True
    start(**arguments)
    assert asked == [(expected, 1 if expected else 0)]


class FakeEtcd:
    """An etcd with so many keys below each prefix, or one that fails."""

    def __init__(self, keys):
        self.keys = keys

    def count(self, prefix):
        if isinstance(self.keys, Exception):
            raise self.keys
        return self.keys.get(prefix, 0)


@pytest.fixture
def external(tmp_path, monkeypatch):
    """Writes the configuration of an external datastore; returns how etcd was asked."""
    asked = []

    def make(address, keys):
        for name, text in (
            ("K3S_SECRETS", "endpoint: '%s'" % address),
            ("K3S_CONFIG", "cafile: /etc/rancher/k3s/ca.pem"),
        ):
            path = tmp_path / name
            path.write_text("# Made by kubewright.cluster.\ndatastore-%s\n" % text)
            monkeypatch.setattr(paths, name, str(path))
        monkeypatch.setattr(datastore.etcd, "connect", lambda how, timeout: asked.append(how) or FakeEtcd(keys))
        return asked

    return make


ETCD = "https://10.0.0.8:2379,https://10.0.0.9:2379"


@pytest.mark.parametrize(
    ("keys", "words"),
    [({"/registry/": 412}, "has 412 objects of a cluster"), (OSError("refused"), "does not say whether it is empty")],
)
def test_no_cluster_begins_on_an_external_etcd_that_has_another_one(start, manager, external, tmp_path, keys, words):
    asked = external(ETCD, keys)
    failed = start(init=True, database="etcd at 10.0.0.8:2379")
    assert failed["failed"] and words in failed["msg"] and manager.calls == []
    assert not (tmp_path / "token").exists() and asked == [{"servers": ETCD, "cafile": "/etc/rancher/k3s/ca.pem"}]


@pytest.mark.parametrize("keys", [{}, {"/registry/": 412, "/bootstrap/": 1}])
def test_a_cluster_begins_on_an_empty_etcd_and_k3s_opens_its_own_again(start, manager, external, keys):
    external(ETCD, keys)
    assert start(init=True, database="etcd at 10.0.0.8:2379")["changed"] and manager.calls


def test_a_database_and_a_server_that_starts_no_cluster_are_not_asked(start, manager, external):
    asked = external("postgres://k3s:hunter2@db:5432/k3s", OSError("refused"))
    assert start(init=True)["changed"]
    external(ETCD, OSError("refused"))
    assert start(init=False)["changed"] and asked == []


@pytest.mark.parametrize("convert", [False, True])
def test_a_datastore_is_converted_where_that_is_asked_and_its_copy_named(start, manager, monkeypatch, convert):
    calls = []
    monkeypatch.setattr(runner, "convert", lambda *given: calls.append(given) or "/data/backups/sqlite-1")
    manager.running = True
    done = start(convert=convert)
    assert (len(calls), done["changed"], done["backup"]) == (
        (1, True, "/data/backups/sqlite-1") if convert else (0, False, "")
    )
    assert ("restart", "k3s", False) in manager.calls if convert else manager.calls == ["server_problem"]
