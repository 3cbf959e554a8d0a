# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Members of hosts that are reset leave first; nothing is removed that would cost the others their majority."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.reset import leaving


class Etcd:
    """Members by number; those in `down` do not answer, those in `elsewhere` are of another cluster."""

    cluster_id, own_only = "7", False

    def __init__(self, count, down=(), elsewhere=(), learners=()):
        self.down, self.elsewhere, self.removed, self.refuses = down, elsewhere, [], False
        self.list = [
            {
                "ID": str(number),
                "name": "cp-%d" % number,
                "peerURLs": ["https://10.0.0.%d:2380" % number],
                "clientURLs": ["https://10.0.0.%d:2379" % number],
                "isLearner": number in learners,
            }
            for number in range(1, count + 1)
        ]

    def members(self):
        return list(self.list)

    def status(self, member):
        number = int(member["ID"])
        if number in self.down:
            raise OSError("refused")
        return {"header": {"cluster_id": "9" if number in self.elsewhere else "7"}}

    def remove(self, number):
        if self.refuses:
            raise ValueError("HTTP 503 re-configuration failed due to not enough started members")
        self.removed.append(int(number))
        self.list = [member for member in self.list if member["ID"] != number]


def host(number, name=None, address=None):
    return {
        "host": "cp-%d" % number,
        "name": name or "cp-%d" % number,
        "addresses": [address or "10.0.0.%d" % number],
    }


def left(etcd, *numbers, check=False):
    notes = []
    leaving.leave(
        etcd, [host(number) for number in numbers], lambda text: notes.append(text) or not check, lambda _s: None
    )
    return notes


def test_one_of_three_leaves():
    etcd = Etcd(3)
    assert left(etcd, 3) == ["remove the etcd member of cp-3"] and etcd.removed == [3]
    assert left(etcd, 3) == [] and etcd.removed == [3]


def test_check_mode_removes_nothing():
    etcd = Etcd(3)
    assert left(etcd, 3, check=True) == ["remove the etcd member of cp-3"] and etcd.removed == []


def test_two_of_three_leave_one_after_the_other_the_dead_one_first():
    etcd = Etcd(3, down=(3,))
    left(etcd, 2, 3)
    assert etcd.removed == [3, 2]


@pytest.mark.parametrize(
    ("etcd", "numbers", "words"),
    [
        (Etcd(3, down=(1,)), (3,), "without cp-3 1 of 2 etcd members would answer, and 2 are needed"),
        (Etcd(5, down=(1, 2)), (5,), "without cp-5 2 of 4 etcd members would answer, and 3 are needed"),
        (Etcd(3, elsewhere=(1,)), (3,), "1 of 2"),
        (Etcd(2, learners=(1,)), (2,), "no other etcd member than that of cp-2 votes"),
    ],
)
def test_nothing_is_removed_where_the_majority_would_be_lost(etcd, numbers, words):
    with pytest.raises(leaving.LeaveError, match=words):
        left(etcd, *numbers)
    assert etcd.removed == []


def test_a_dead_member_may_leave():
    etcd = Etcd(3, down=(3,))
    left(etcd, 3)
    assert etcd.removed == [3]


def test_what_etcd_refuses_stops_the_reset(monkeypatch):
    monkeypatch.setattr(leaving, "SETTLE_SECONDS", -1)
    etcd = Etcd(3)
    etcd.refuses = True
    with pytest.raises(leaving.LeaveError, match="cp-3 cannot be removed: HTTP 503.*Nothing was reset"):
        left(etcd, 3)


@pytest.mark.parametrize(
    ("member", "is_k3s", "found"),
    [
        ({"name": "cp-3"}, False, True),
        ({"name": "cp-3-0a1b2c3d"}, True, True),
        # Another node of a kubeadm cluster.
        ({"name": "cp-3-20261129"}, False, False),
        ({"name": "cp-3-other"}, True, False),
        ({"name": "", "peerURLs": ["https://10.0.0.3:2380"]}, False, True),
        ({"name": "", "peerURLs": ["https://[fd00::3]:2380"]}, True, True),
        ({"name": "cp-30", "peerURLs": ["https://10.0.0.30:2380"]}, False, False),
    ],
)
def test_whose_member_it_is(member, is_k3s, found):
    item = {"host": "third", "name": "cp-3", "addresses": ["10.0.0.3", "fd00::3"]}
    assert (leaving.host_of(member, [item], is_k3s) == "third") is found


def test_a_member_whose_answer_names_no_cluster_does_not_count_as_serving():
    etcd = Etcd(3)
    etcd.status = lambda _member: {}
    with pytest.raises(leaving.LeaveError, match="0 of 2 etcd members would answer"):
        left(etcd, 3)


def test_a_member_that_never_started_does_not_count_as_serving():
    """Nobody knows where it answers, and another member would answer in its place."""
    etcd = Etcd(3)
    etcd.list[0].update(name="", clientURLs=[])
    with pytest.raises(leaving.LeaveError, match="1 of 2 etcd members would answer"):
        left(etcd, 3)


def test_hosts_without_a_member_need_no_majority():
    assert left(Etcd(3, down=(1, 2)), 9) == []
