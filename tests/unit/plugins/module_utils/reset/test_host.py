# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reset takes the cluster's chains and nothing else, and never crosses a mount point."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import Result
from ansible_collections.kubewright.cluster.plugins.module_utils.node import ownership as owned
from ansible_collections.kubewright.cluster.plugins.module_utils.reset import (
    host as cleanup,
    network as cleanup_network,
)

SAVED = """*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:CNI-HOSTPORT-DNAT - [0:0]
:MINE - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -p tcp --dport 8080 -m comment --comment "not KUBE- at all" -j MINE
-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE
-A KUBE-SERVICES -d 10.96.0.1/32 -j KUBE-SVC-X
COMMIT
"""
KEPT = """*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:MINE - [0:0]
-A PREROUTING -p tcp --dport 8080 -m comment --comment "not KUBE- at all" -j MINE
-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE
COMMIT
"""


def test_only_the_clusters_chains_go():
    gone = cleanup_network.removal(SAVED)
    assert "-X KUBE-SERVICES\n-X CNI-HOSTPORT-DNAT\n" in gone
    assert "MINE" not in gone and "MASQUERADE" not in gone
    assert cleanup_network.removal(KEPT) == ""


def test_rules_of_kube_router_go():
    rules = [
        'FORWARD -i kube-bridge -m comment --comment "allow outbound traffic from pods" -j ACCEPT',
        'FORWARD -o eth0 -m comment --comment "%s" -j ACCEPT' % cleanup_network.traces.KUBE_ROUTER.rule_comments[0],
        "POSTROUTING -m set --match-set kube-router-pod-subnets src -j MASQUERADE --random-fully",
    ]
    saved = "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -o eth0 -j ACCEPT\n%sCOMMIT\n" % "".join(
        "-A %s\n" % rule for rule in rules
    )
    assert cleanup_network.removal(saved) == "*filter\n%sCOMMIT\n" % "".join("-D %s\n" % rule for rule in rules)


class FakeHost:
    def __init__(self, answers):
        self.answers, self.ran = answers, []

    def run(self, argv, stdin=None):
        self.ran.append((argv, stdin))
        return Result(*self.answers.get(" ".join(argv), (1, "")))


def never_fails(what, why):
    raise AssertionError("%s: %s" % (what, why))


def test_network_on_a_bare_host_changes_nothing():
    host, notes = FakeHost({"iptables-save": (0, KEPT)}), []
    cleanup_network.Network(host.run, lambda text: notes.append(text) or True, never_fails).clean()
    assert notes == []


def test_network_check_only_looks():
    host, notes = (
        FakeHost(
            {"iptables-save": (0, SAVED), "ip link show dev cni0": (0, "x"), "ipset list -n": (0, "KUBE-X\nmine\n")}
        ),
        [],
    )
    cleanup_network.Network(host.run, notes.append, never_fails).clean()
    assert notes == [
        "remove the cluster's chains from iptables",
        "destroy the ipset KUBE-X",
        "delete the interface cni0",
    ]
    assert not any(argv[0].endswith("-restore") or "delete" in argv or "destroy" in argv for argv, _text in host.ran)


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setattr(owned, "PATH", str(tmp_path / "record/owned.json"))
    monkeypatch.setattr(owned, "BACKUPS", str(tmp_path / "record/before"))
    made = cleanup.Cleanup()
    made.run = lambda argv, stdin=None: Result(1)
    made.record = owned.read(owned.PATH)
    return made


def test_a_changed_program_is_left(work, tmp_path):
    (tmp_path / "tool").write_text("changed by its user")
    work.record["artifacts"][str(tmp_path / "tool")] = {"sha256": "0" * 64}
    work.remove_programs()
    assert (tmp_path / "tool").exists()
    assert work.left == [{"path": str(tmp_path / "tool"), "why": "it was changed after it was installed"}]


def test_what_stood_before_comes_back(work, tmp_path):
    (tmp_path / "config").write_text("theirs")
    owned.back_up_former(str(tmp_path / "config"), work.record)
    (tmp_path / "config").write_text("ours")
    work.remove_files()
    assert (tmp_path / "config").read_text() == "theirs"


def test_nothing_ours_is_nothing_to_do(work):
    assert not work.anything()


def test_a_mount_below_is_left(work, tmp_path, monkeypatch):
    (tmp_path / "data/inner").mkdir(parents=True)
    monkeypatch.setattr(cleanup, "mounts_below", lambda path: [path + "/inner"])
    work.remove(str(tmp_path / "data"))
    assert (tmp_path / "data/inner").exists() and "is mounted there" in work.left[0]["why"]


def test_trees_and_links(work, tmp_path):
    (tmp_path / "data/inner").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    work.remove(str(tmp_path / "data"))
    work.remove(str(tmp_path / "link"))
    assert not (tmp_path / "data").exists() and not (tmp_path / "link").exists() and (tmp_path / "elsewhere").exists()
