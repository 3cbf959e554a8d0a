# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd's client: the server that answers is asked again, and says which member and cluster it is of."""

from __future__ import annotations

import base64
import json

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import etcd
from ansible_collections.kubewright.cluster.plugins.module_utils.api.etcd import (
    MEMBERS,
    MOVE_LEADER,
    OBJECTS,
    STATUS,
    Etcd,
    described,
)

IPV4, IPV6 = "https://127.0.0.1:2379", "https://[::1]:2379"


@pytest.mark.parametrize("listens", [IPV4, IPV6])
def test_the_member_is_asked_where_it_answers(monkeypatch, listens):
    asked = []

    def ask(_self, url, path):
        asked.append((url, path))
        if url != listens:
            raise OSError("refused")
        header = {"member_id": "1", "cluster_id": "100"}
        return {"header": header, "leader": "1", "members": [{"ID": "1", "name": "cp-1"}]}

    monkeypatch.setattr(Etcd, "ask", ask)
    etcd = Etcd([IPV4, IPV6], None)
    assert etcd.members() == [{"ID": "1", "name": "cp-1"}] and (etcd.own_id, etcd.cluster_id) == ("1", "100")
    assert etcd.own_status()["leader"] == "1"
    assert asked == [(IPV4, MEMBERS), (listens, MEMBERS), (listens, STATUS)][listens == IPV4 :]
    assert sorted(etcd.servers) == sorted([IPV4, IPV6])


@pytest.mark.parametrize("leader,asked", [("1", IPV4), ("2", "https://10.0.0.2:2379")])
def test_the_leader_is_asked_to_give_its_place_away(monkeypatch, leader, asked):
    calls = []
    monkeypatch.setattr(Etcd, "ask", lambda _self, url, path, body: calls.append((url, path, json.loads(body))))
    etcd = Etcd([IPV4], None)
    etcd.own_id = "1"  # K3s's members answer only their own node
    etcd.move_leader({"ID": leader, "clientURLs": ["https://10.0.0.%s:2379" % leader]}, {"ID": "3"})
    assert calls == [(asked, MOVE_LEADER, {"targetID": "3"})]


def test_keys_below_a_prefix_are_counted(monkeypatch):
    bodies = []

    def ask(_self, url, path, body):
        if url == IPV4:
            raise OSError("refused")
        bodies.append(json.loads(body))
        return {"header": {}, "count": "7"}

    monkeypatch.setattr(Etcd, "ask", ask)
    assert Etcd([IPV4, IPV6], None).count(OBJECTS) == 7
    assert bodies[0]["count_only"] and base64.b64decode(bodies[0]["key"]) == b"/registry/"
    assert base64.b64decode(bodies[0]["range_end"]) == b"/registry0"  # the first key that does not begin so


def test_an_empty_etcd_has_no_count(monkeypatch):
    monkeypatch.setattr(Etcd, "ask", lambda *_arguments: {"header": {}})
    assert Etcd([IPV4], None).count(OBJECTS) == 0


@pytest.mark.parametrize("answer", [{}, [], {"members": []}, {"header": {"cluster_id": "1"}}])
def test_an_answer_without_members_is_no_answer(monkeypatch, answer):
    """Every etcd has a member: one who is not in an empty list would be joined, or reset without leaving."""
    monkeypatch.setattr(Etcd, "ask", lambda *_arguments: answer if isinstance(answer, dict) else {})
    with pytest.raises(ValueError, match="names no member"):
        Etcd([IPV4, IPV6], None).members()
    with pytest.raises(ValueError, match="names no member"):
        described(json.dumps(answer))


@pytest.mark.parametrize("answer", [{}, {"message": "ok"}, [], "ok", None])
def test_what_is_no_answer_of_etcd_does_not_say_that_it_is_empty(monkeypatch, answer):
    """A proxy in front of it, or another program at its port, answers with 200 too."""
    monkeypatch.setattr(Etcd, "ask", lambda *_arguments: answer)
    with pytest.raises(ValueError, match="the answer is not one of etcd"):
        Etcd([IPV4], None).count(OBJECTS)
    monkeypatch.setattr(etcd, "connect", lambda _how, timeout: Etcd([IPV4], None))
    assert "does not say whether it is empty" in etcd.used_problem({"servers": IPV4})


@pytest.mark.parametrize("there", ["7", 7, None])
def test_a_member_is_not_what_answers_at_its_address(monkeypatch, there):
    """A new machine got the address of one that is gone."""
    header = {"cluster_id": "1", **({"member_id": there} if there else {})}
    monkeypatch.setattr(Etcd, "ask", lambda *_arguments: {"header": header, "leader": "7"})
    client = Etcd([IPV4], None)
    assert client.status({"ID": "7", "clientURLs": [IPV4]})["leader"] == "7"
    if there:
        with pytest.raises(ValueError, match="the member 7 answers in its place"):
            client.status({"ID": "8", "clientURLs": [IPV4]})
