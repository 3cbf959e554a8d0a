# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The etcd member of a failed join is removed by another one, and only if all others are healthy."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm import undo


class Cluster:
    """An etcd cluster. silent: names that do not answer. stays: removing has no effect."""

    def __init__(self, members, silent=(), stays=False, clusters=()):
        self.list, self.silent, self.stays = list(members), silent, stays
        self.clusters, self.cluster_id, self.removed, self.servers = dict(clusters), "7", [], []

    def members(self):
        return list(self.list)

    def status(self, known):
        if known["name"] in self.silent:
            raise OSError("refused")
        return {"leader": "1", "header": {"cluster_id": self.clusters.get(known["name"], "7")}}

    def remove(self, member_id):
        self.removed.append((self.servers[0], member_id))
        if not self.stays:
            self.list = [known for known in self.list if known["ID"] != member_id]


def member(number, name=None, started=True, **more):
    address = "10.0.0.%d" % (10 + number)
    return {
        "ID": str(number),
        "name": ("cp-%d" % number if name is None else name) if started else "",
        "peerURLs": ["https://%s:2380" % address],
        "clientURLs": ["https://%s:2379" % address] if started else [],
        **more,
    }


def leave(cluster):
    undo.leave(cluster, "cp-2", "10.0.0.12")


@pytest.mark.parametrize("own", [member(2), member(2, isLearner=True), member(2, started=False)])
def test_the_member_is_removed_by_another_one(own):
    cluster = Cluster([member(1), own, member(3)])
    leave(cluster)
    assert cluster.removed == [("https://10.0.0.11:2379", "2")]


def test_a_join_that_added_no_member_removes_none():
    cluster = Cluster([member(1), member(3)])
    leave(cluster)
    assert cluster.removed == []


def test_a_learner_that_joins_meanwhile_does_not_count():
    cluster = Cluster([member(1), member(2), member(3, started=False, isLearner=True)])
    leave(cluster)
    assert cluster.removed


@pytest.mark.parametrize(
    "cluster",
    [
        Cluster([member(1), member(2)], silent=["cp-1"]),
        Cluster([member(1), member(2), member(3)], silent=["cp-3"]),
        Cluster([member(1), member(2), member(3, started=False)]),
        Cluster([member(1), member(2), member(3)], clusters={"cp-3": "9"}),
        Cluster([member(2)]),
    ],
)
def test_nothing_is_removed_unless_all_others_are_healthy(cluster):
    with pytest.raises(undo.UndoError, match="not healthy"):
        leave(cluster)
    assert cluster.removed == []


def test_a_removal_that_has_no_effect_or_is_refused_is_an_error(monkeypatch):
    with pytest.raises(undo.UndoError, match="still in the list"):
        leave(Cluster([member(1), member(2)], stays=True))
    cluster = Cluster([member(1), member(2)])

    def refused(_member_id):
        raise ValueError("HTTP 503 etcdserver: unhealthy cluster")

    monkeypatch.setattr(cluster, "remove", refused)
    with pytest.raises(undo.UndoError, match="unhealthy cluster"):
        leave(cluster)


def test_a_join_that_made_no_certificate_added_no_member(tmp_path):
    assert undo.others(str(tmp_path), ["10.0.0.11"]) is None


def test_a_member_that_nobody_could_remove_is_an_error(tmp_path):
    place = tmp_path / "etc/kubernetes/pki/etcd"
    place.mkdir(parents=True)
    (place / "healthcheck-client.crt").write_text("x")
    with pytest.raises(undo.UndoError, match="no other control plane is known"):
        undo.others(str(tmp_path), [])
    with pytest.raises(undo.UndoError, match="cannot be read"):
        undo.others(str(tmp_path), ["10.0.0.11"])


@pytest.mark.parametrize(("address", "server"), [("10.0.0.11", "10.0.0.11"), ("fd00::11", "[fd00::11]")])
def test_the_others_are_asked_at_their_addresses(tmp_path, monkeypatch, address, server):
    place = tmp_path / "etc/kubernetes/pki/etcd"
    place.mkdir(parents=True)
    (place / "healthcheck-client.crt").write_text("x")
    monkeypatch.setattr(undo.tls, "from_files", lambda *names: names)
    monkeypatch.setattr(undo, "Etcd", lambda servers, _context: servers)
    assert undo.others(str(tmp_path), [address]) == ["https://%s:2379" % server]
