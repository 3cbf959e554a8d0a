# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running K3s on a node: the install script."""

from __future__ import annotations

import os
import stat

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import Result
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s import runner as k3s_node, tokens as k3s_tokens
from ansible_collections.kubewright.cluster.plugins.module_utils.node import ownership as owned, services


@pytest.fixture
def record(monkeypatch):
    """A record of ownership that is kept in memory."""
    kept = {"files": {}, "artifacts": {}, "directories": [], "settings": {}}
    monkeypatch.setattr(owned, "read", lambda: kept)
    monkeypatch.setattr(owned, "write", lambda record: None)
    return kept


def script(tmp_path, text):
    path = tmp_path / "install.sh"
    path.write_text(text)
    return str(path)


def test_the_script_starts_and_downloads_nothing_and_what_it_leaves_is_ours(tmp_path, record):
    names = ("k3s.service", "k3s.service.env", "kubectl", "crictl")
    unit, env, link, other = (str(tmp_path / name) for name in names)
    text = "env >%s; : >%s; ln -s k3s %s\n" % (unit, env, link)
    k3s_node.install(script(tmp_path, text), "agent", [unit], [env, link, other])
    told = dict(line.split("=", 1) for line in (tmp_path / names[0]).read_text().splitlines())
    assert {name: value for name, value in told.items() if name.startswith("INSTALL_")} == {
        "INSTALL_K3S_EXEC": "agent",
        "INSTALL_K3S_SKIP_DOWNLOAD": "true",
        "INSTALL_K3S_SKIP_ENABLE": "true",
    }
    assert record["files"] == {path: {"backup": None} for path in (unit, env, link)}


def test_the_environment_that_is_ours_outlives_the_script(tmp_path, record):
    env = tmp_path / "k3s.service.env"
    env.write_text("HTTPS_PROXY=http://proxy\n")
    k3s_node.install(script(tmp_path, ": >%s\n" % env), "server", [], [str(env)])
    assert env.read_text() == "HTTPS_PROXY=http://proxy\n"


def test_a_script_that_fails_says_so_without_secrets(tmp_path, record):
    token = "K10" + "a" * 64 + "::server:" + "b" * 32
    with pytest.raises(k3s_node.K3sError, match="install script failed") as error:
        k3s_node.install(script(tmp_path, "echo no way with %s; exit 3\n" % token), "server", [], [])
    assert "no way" in str(error.value) and token not in str(error.value)


def test_labels_of_selinux_are_set_before_the_start_where_it_is_on(tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(k3s_node.commands, "run", lambda argv, **_more: called.append(tuple(argv)) or Result(0))
    monkeypatch.setattr(
        services, "here", lambda: services.Systemd(lambda argv: called.append(tuple(argv)) or Result(0))
    )
    monkeypatch.setattr(k3s_node, "SELINUX", str(tmp_path / "enforce"))
    k3s_node.start("k3s", False, str(tmp_path))
    assert [words[0] for words in called] == ["systemctl"] * 3
    (tmp_path / "enforce").write_text("1")
    k3s_node.start("k3s", False, str(tmp_path))
    assert called[3][:2] == ("restorecon", "-R") and {"/usr/local/bin/k3s", str(tmp_path) + "/server/manifests"} <= set(
        called[3]
    )
    assert called[4] == ("systemctl", "daemon-reload")


def test_openrc_starts_stops_and_is_asked_by_its_own_commands(tmp_path, monkeypatch):
    called = []
    manager = services.OpenRC(lambda argv: called.append(" ".join(argv)) or Result(0))
    manager.started, manager.options = str(tmp_path) + "/started/", str(tmp_path) + "/options/"
    assert manager.start("k3s", False) == Result(0) and not manager.active("k3s") and manager.restarts("k3s") == 0
    for name, text in (("started/k3s", ""), ("options/k3s/start_count", "3")):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    assert manager.active("k3s") and manager.in_use("k3s") and manager.restarts("k3s") == 2
    manager.start("k3s", True)
    assert called == [
        "rc-update add k3s default",
        "rc-service k3s start",
        "rc-service k3s status",
        "rc-update add k3s default",
        "rc-service k3s restart",
    ]


@pytest.mark.parametrize("hardened", [True, False])
def test_a_servers_directory_is_for_root_alone_whoever_made_it(tmp_path, monkeypatch, hardened):
    audit = tmp_path / "audit.yaml"
    monkeypatch.setattr(k3s_node, "AUDIT", str(audit))
    if hardened:
        audit.write_text("")
    data = tmp_path / "k3s"
    (data / "server" / "manifests").mkdir(parents=True, mode=0o755)
    k3s_node.keep_private(str(data))
    assert stat.S_IMODE((data / "server").stat().st_mode) == 0o700
    logs = data / "server" / "logs"
    assert logs.exists() == hardened and (not hardened or stat.S_IMODE(logs.stat().st_mode) == 0o700)


def test_a_start_keeps_a_servers_directory_private_and_makes_none_for_an_agent(tmp_path, monkeypatch):
    class Manager:
        def start(self, unit, restart):
            return Result(0)

    monkeypatch.setattr(k3s_node.services, "here", Manager)
    monkeypatch.setattr(k3s_node, "AUDIT", str(tmp_path / "none"))
    monkeypatch.setattr(k3s_node, "SELINUX", str(tmp_path / "none"))
    k3s_node.start("k3s-agent", False, str(tmp_path / "agent"))
    k3s_node.start("k3s", False, str(tmp_path / "server"))
    assert not (tmp_path / "agent").exists()
    assert stat.S_IMODE((tmp_path / "server" / "server").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("line", "told"),
    [
        # https://github.com/k3s-io/k3s/blob/main/pkg/agent/config/config.go: told as information, again and again
        (
            "Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' may",
            "machine with this name",
        ),
        (
            "Failed to validate connection to cluster at https://10.0.0.1:6443: "
            "token CA hash does not match the Cluster CA",
            "another certificate authority",
        ),
        (
            "failed to retrieve configuration from server: https://127.0.0.1:6444/v1-k3s/config: 401 Unauthorized",
            "refuse its token",
        ),
    ],
)
def test_what_the_servers_refuse_is_told_before_the_time_is_up(monkeypatch, line, told):
    class Manager:
        def log(self, unit, lines):
            return (
                'time="2026-11-27T05:00:00Z" level=info '
                'msg="Waiting to retrieve agent configuration; server is not ready: %s"\n' % line
            )

    monkeypatch.setattr(services, "here", Manager)
    assert k3s_node._agent_refusal("k3s-agent", 5) == ""
    assert told in k3s_node._agent_refusal("k3s-agent", 31) and line in k3s_node.last_errors("k3s-agent")


def test_servers_that_are_busy_with_other_agents_are_waited_for(monkeypatch):
    """At most twenty agents are answered at once, the others ask again: pkg/server/handlers/router.go (MaxInFlight)."""
    line = "Waiting to retrieve agent configuration; server is not ready: https://127.0.0.1:6444/v1-k3s/config: %s"

    class Manager:
        def log(self, unit, lines):
            return 'level=error msg="%s"\n' % (line % "429 Too Many Requests")

    monkeypatch.setattr(services, "here", Manager)
    assert "429" in k3s_node.last_errors("k3s-agent") and k3s_node._agent_refusal("k3s-agent", 200) == ""


@pytest.mark.parametrize(
    "why",
    ["EOF", "read tcp 127.0.0.1:47166->127.0.0.1:6444: read: connection reset by peer", "context deadline exceeded"],
)
def test_an_agent_that_no_server_answers_is_told_so_by_its_last_lines(monkeypatch, why):
    # https://github.com/k3s-io/k3s/issues/9748, https://github.com/k3s-io/k3s-ansible/issues/301
    log = [
        'time="2026-11-27T05:00:00Z" level=error '
        'msg="failed to get CA certs: Get \\"https://127.0.0.1:6444/cacerts\\": %s"' % why
    ]

    class Manager:
        def log(self, unit, lines):
            return "\n".join(log[-lines:]) + "\n"

    monkeypatch.setattr(services, "here", Manager)
    assert k3s_node._agent_refusal("k3s-agent", 80) == ""
    assert "no server answers" in k3s_node._agent_refusal("k3s-agent", 91)
    log.extend(['level=info msg="it got through"'] * 3)
    assert k3s_node._agent_refusal("k3s-agent", 91) == ""


def program(path, script):
    """A K3s at some path that is only a shell script."""
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    return str(path)


def test_what_the_program_carries_is_unpacked_once(tmp_path):
    k3s = program(tmp_path / "k3s", '[ "$1" = crictl ] && mkdir -p %s/data/abc\n' % tmp_path)
    assert k3s_node.unpack(k3s, str(tmp_path)) is True
    assert k3s_node.unpack(k3s, str(tmp_path)) is False
    # Its start says why, in K3s's own words.
    assert k3s_node.unpack(str(tmp_path / "lacking"), str(tmp_path)) is False


def test_a_token_that_expires_is_made_by_the_program_wherever_it_is(tmp_path):
    token = "K10%s::abcdef.0123456789abcdef" % ("a" * 64)
    assert (
        k3s_tokens.bootstrap(program(tmp_path / "k3s", 'echo "$4" >%s/ttl; echo %s\n' % (tmp_path, token)), "2h")
        == token
    )
    assert (tmp_path / "ttl").read_text() == "2h\n"
    with pytest.raises(k3s_node.K3sError) as told:
        k3s_tokens.bootstrap(program(tmp_path / "k3s", "echo %s refused; exit 1\n" % token), "2h")
    assert "refused" in str(told.value) and "0123456789abcdef" not in str(told.value)


# -- cluster-init ----------------------------------------------------------------------------------------------------

FIRST = "node-name: cp-1\ncluster-init: true\ntoken-file: /x\n"


@pytest.fixture
def first_server(tmp_path, monkeypatch):
    """Return a function that settles a server whose etcd has these members, and its configuration."""
    path = tmp_path / "config.yaml"
    path.write_text(FIRST)
    os.chmod(path, 0o600)
    os.utime(path, (100, 100))

    def settle(members):
        def peers(_data_dir):
            if isinstance(members, Exception):
                raise members
            return members

        monkeypatch.setattr(k3s_node.etcd, "peers", peers)
        return k3s_node.settle("/data", "https://10.0.0.12:6443", str(path))

    return settle, path


def test_the_first_server_names_another_one_once_others_vote(first_server):
    settle, path = first_server
    assert settle([{"ID": 1}, {"ID": 2}])
    assert path.read_text() == FIRST.replace("cluster-init: true", "server: https://10.0.0.12:6443")
    # Nothing restarts because of it.
    assert os.stat(path).st_mtime == 100 and os.stat(path).st_mode & 0o777 == 0o600
    assert not settle([{"ID": 1}, {"ID": 2}])


@pytest.mark.parametrize("members", [None, [{"ID": 1}], [{"ID": 1}, {"ID": 2, "isLearner": True}]])
def test_the_only_server_keeps_cluster_init(first_server, members):
    settle, path = first_server
    assert not settle(members) and path.read_text() == FIRST


def test_an_etcd_that_is_silent_changes_nothing(first_server):
    settle, path = first_server
    with pytest.raises(k3s_tokens.K3sError, match="does not answer"):
        settle(OSError("refused"))
    assert path.read_text() == FIRST


@pytest.mark.parametrize("line", ["server: https://10.0.0.11:6443", 'server: "https://[fd00::1]:6443"'])
def test_another_server_takes_the_place_of_one_that_left(tmp_path, line):
    path = tmp_path / "config.yaml"
    path.write_text("node-name: w-1\n%s\ntoken-file: /x\n" % line)
    os.utime(path, (100, 100))
    wanted, former = "https://10.0.0.12:6443", ["10.0.0.11", "fd00::1"]
    assert not k3s_node.redirect(wanted, ["10.0.0.1"], path=str(path))
    assert k3s_node.redirect(wanted, former, check=True, path=str(path)) and line in path.read_text()
    assert k3s_node.redirect(wanted, former, path=str(path))
    assert path.read_text() == "node-name: w-1\nserver: https://10.0.0.12:6443\ntoken-file: /x\n"
    assert os.stat(path).st_mtime == 100 and not k3s_node.redirect(wanted, former, path=str(path))


# A server whose port 2380 was closed, and one whose 6443 was.
ETCD_PEERS = (
    '{"level":"warn","caller":"etcdserver/cluster_util.go:86","msg":"failed to get cluster response",'
    '"error":"Get \\"https://10.0.0.11:2380/members\\": dial tcp 10.0.0.11:2380: i/o timeout"}'
)
SUPERVISOR = (
    'level=fatal msg="Error: preparing server: failed to get CA certs: Get \\"https://10.0.0.11:6443/cacerts\\": '
    'dial tcp 10.0.0.11:6443: connect: connection refused"'
)
OWN = 'level=error msg="Failed to connect: dial tcp 127.0.0.1:6444: connect: connection refused"'


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            [ETCD_PEERS, OWN],
            "It cannot connect to 10.0.0.11:2380 (i/o timeout). Start what listens there, or open the port",
        ),
        ([SUPERVISOR], "It cannot connect to 10.0.0.11:6443 (connection refused)."),
        ([SUPERVISOR.replace("10.0.0.11", "[fd00::b]")], "It cannot connect to [fd00::b]:6443 (connection refused)."),
        ([OWN, OWN.replace("127.0.0.1", "[::1]")], None),
    ],
)
def test_a_server_that_does_not_join_names_the_address_that_it_does_not_reach(monkeypatch, lines, told):
    class Manager:
        def log(self, unit, count):
            return "\n".join(lines)

        def restarts(self, unit):
            return 0

    monkeypatch.setattr(services, "here", Manager)
    with pytest.raises(k3s_node.K3sError) as failed:
        k3s_node.wait("cp-1", "k3s", lambda: "its API is not ready", True, -1)
    assert told in str(failed.value) if told else "It cannot connect" not in str(failed.value)
