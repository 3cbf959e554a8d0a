# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control planes that are each healthy and not of one cluster: every way in which that could pass unseen."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import one_cluster

OK = {"status": "ok"}


def answer(uid="a", etcd="7", datastore="etcd", problems=(), checks=(OK,)):
    cluster = {"uid": uid, "etcd_cluster": etcd, "datastore": datastore, "problems": list(problems)}
    return {"checks": list(checks), "cluster": cluster}


def told(*answers, control_planes=None):
    names = ["cp-%d" % number for number in range(1, len(answers) + 1)]
    found = one_cluster.checks(dict(zip(names, answers)), names if control_planes is None else control_planes)
    assert all(item["status"] == "fail" and item["hint"] for item in found)
    return [(item["name"], item["node"], item["text"]) for item in found]


def sqlite(uid="a"):
    return answer(uid, None, "SQLite")


def external(uid="a"):
    return answer(uid, None, "an external database")


@pytest.mark.parametrize(
    "answers",
    [[answer()], [answer(), answer(), answer()], [sqlite()], [external(), external()], [answer(etcd=7), answer()]],
)
def test_one_cluster(answers):
    assert told(*answers) == []


def test_two_etcd_clusters_with_one_uid_as_after_a_restored_snapshot():
    assert told(answer(), answer(etcd="9"), answer(etcd="9")) == [
        ("etcd", None, "the members are of 2 clusters: 7 on cp-1; 9 on cp-2, cp-3")
    ]


@pytest.mark.parametrize("of", [answer, external])
def test_two_uids(of):
    assert told(of(), of("b")) == [
        ("API server", None, "the API servers are of 2 clusters, by the UID of kube-system: a on cp-1; b on cp-2")
    ]


def test_two_copies_of_one_sqlite_database_have_one_uid():
    text = "each of cp-1, cp-2 has a SQLite database of its own, so they are several clusters"
    assert told(sqlite(), sqlite()) == [("API server", None, text)]


@pytest.mark.parametrize(("other", "shown"), [(sqlite(), "SQLite"), (external(), "an external database")])
def test_two_kinds_of_datastores_with_one_uid(other, shown):
    text = (
        "the control planes have different datastores, so they are several clusters: %s on cp-2; etcd on cp-1" % shown
    )
    assert told(answer(), other) == [("etcd", None, text)]


@pytest.mark.parametrize(
    "unknown",
    [
        answer(uid=None, problems=["its API does not name its cluster: HTTP 403"]),
        answer(etcd=None, problems=["its etcd does not name its cluster: timed out"]),
    ],
)
def test_what_is_unknown_is_not_the_same(unknown):
    assert told(answer(), unknown) == [("API server", "cp-2", unknown["cluster"]["problems"][0])]
    # The check of its API server, say, names the cause already.
    unknown["checks"].append({"status": "fail"})
    assert told(answer(), unknown) == []


def test_a_control_plane_without_an_api_server_of_its_own():
    found = told(answer(), {"checks": [OK], "cluster": None})
    assert len(found) == 1 and found[0][1] == "cp-2" and "runs no API server" in found[0][2]


def test_workers_and_nodes_without_an_answer_are_not_compared():
    worker = {"checks": [OK], "cluster": None}
    assert told(answer(), worker, control_planes=["cp-1"]) == []
    # They have failed checks elsewhere (report/verify.py, unheard).
    assert told(answer(), {"msg": "unreachable"}, {}) == []
