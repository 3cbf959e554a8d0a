# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan says of certificates: which expires next, which expires soon, and what cannot start without new ones."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import plan_text
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import running
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described


@pytest.fixture
def cluster():
    """(hosts, groups) of a running cluster, set(host, days) gives a control plane its certificates."""
    hosts, groups = running()

    def give(host, days, healthy=True):
        info = hosts[host]["info"]["cluster"]
        info["certificates"] = {"apiserver": {"days_left": days}, "etcd-peer": {"days_left": days + 9}}
        info["certificates"]["ca"] = {"days_left": -9}  # not a certificate that is renewed
        if not healthy:
            info["live"] = {"healthy": False, "error": "connection refused"}
            info["finished"] = True

    give.hosts, give.groups = hosts, groups
    for host in ("cp-1", "cp-2", "cp-3"):
        give(host, 300)
    return give


def planned(cluster):
    return planner.cluster_plan(cluster.hosts, cluster.groups)


def test_the_next_to_expire_is_shown(cluster):
    cluster("cp-2", 42)
    plan = planned(cluster)
    assert plan["nodes"]["cp-2"]["certificate"] == {"name": "apiserver", "days_left": 42}
    assert plan["nodes"]["w-1"]["certificate"] is None and plan["warnings"] == []
    text = " ".join(" ".join(plan_text.text(plan)).split())
    assert "certificates apiserver on cp-2 is the next to expire, in 42 days" in text


def test_those_that_expire_soon_are_named_with_the_way_out(cluster):
    cluster("cp-2", 29)
    cluster("cp-3", -2)
    assert described(planned(cluster)["warnings"]) == [
        "certificates.expire_soon node=cp-2 value=29 limit=30",
        "certificates.expired node=cp-3 value=-2 limit=0",
    ]


def test_a_cluster_that_cannot_start_is_not_waited_for(cluster):
    for host in ("cp-1", "cp-2", "cp-3"):
        cluster(host, -2, healthy=False)
    refused = described(planned(cluster)["refusals"])
    assert refused == ["certificates.expired node=%s value=-2 limit=0" % host for host in ("cp-1", "cp-2", "cp-3")]


def test_a_control_plane_that_was_not_looked_at(cluster):
    cluster.hosts["cp-1"] = {"info": None, "error": "cannot be reached", "inputs": cluster.hosts["cp-1"]["inputs"]}
    assert described(planned(cluster)["refusals"]) == ["look.failed node=cp-1"]


def test_nothing_is_said_where_nothing_is_known(cluster):
    for row in cluster.hosts.values():
        row["info"]["cluster"].pop("certificates", None)
    plan = planned(cluster)
    assert plan["nodes"]["cp-1"]["certificate"] is None and plan["warnings"] == []
    assert "certificates" not in " ".join(plan_text.text(plan))


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"kind": "self_signed", "days_left": 29}, ["certificates.kubelet_serving node=w-1 value=29 limit=30"]),
        ({"kind": "self_signed", "days_left": -5}, ["certificates.kubelet_serving node=w-1 value=-5 limit=30"]),
        ({"kind": "given", "days_left": 29}, ["certificates.kubelet_serving node=w-1 value=29 limit=30"]),
        ({"kind": "signed", "days_left": 29}, ["certificates.kubelet_serving node=w-1 value=29 limit=30"]),
        ({"kind": "signed", "days_left": 2, "life_days": 7}, []),  # the kubelet renews it on the last days
        ({"kind": "none", "days_left": -20000}, ["certificates.kubelet_serves_none node=w-1"]),
        ({"kind": "self_signed", "days_left": 30}, []),
        (None, []),
    ],
)
def test_what_kubelets_serve_is_watched_on_workers_too(cluster, known, expected):
    info = cluster.hosts["w-1"]["info"]["cluster"]
    info["renewal"] = {"serving": known and {"life_days": 365, "waits": False, **known}}
    assert described(planned(cluster)["warnings"]) == expected
