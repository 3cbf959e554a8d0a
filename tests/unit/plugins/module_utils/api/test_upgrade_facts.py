# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a control plane says of its cluster before an upgrade."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import upgrade_facts
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.api.fake_api import FakeApi, pod

METRICS = """# HELP apiserver_requested_deprecated_apis
apiserver_requested_deprecated_apis{group="storage.k8s.io",removed_release="1.37",resource="x",\
subresource="",version="v1beta1"} 1
apiserver_requested_deprecated_apis{group="",removed_release="",resource="componentstatuses",\
subresource="",version="v1"} 1
apiserver_requested_deprecated_apis{group="apps",removed_release="1.38",resource="y",\
subresource="",version="v1beta1"} 0
"""


class Cluster:
    """Two members; the second does not answer."""

    own_only = False

    def members(self):
        rows = [{"ID": "1", "name": "cp1"}, {"ID": "2", "name": "cp2", "isLearner": True}]
        return [{**row, "peerURLs": ["https://10.0.0.%s:2380" % row["ID"]]} for row in rows]

    def status(self, member):
        if member["ID"] == "2":
            raise OSError("refused")
        return {
            "version": "3.6.8",
            "dbSize": "100",
            "dbSizeQuota": "2000",
            "leader": "1",
            "errors": ["memberID:1 alarm:NOSPACE "],
        }


class Broken:
    def members(self):
        raise OSError("timed out")


def replicas(kind, name, count):
    path = "/apis/apps/v1/" + kind
    return path, {"metadata": {"namespace": "default", "name": name}, "spec": {"replicas": count}}


class Api(FakeApi):
    """It lists controllers too."""

    def ask(self, method, path, body=None, patience=None):
        if path == "/metrics":
            return 200, METRICS
        return super().ask(method, path, body, patience)

    def get(self, path, missing_ok=False):
        if path.startswith("/apis/apps/v1/"):
            return {"items": [item for place, item in self.controllers if place == path]}
        if path.startswith((upgrade_facts.HOOKS, "/apis/discovery.k8s.io/")):
            return {"items": self.lists.get(path)}
        return super().get(path, missing_ok)

    lists = {}


def test_etcd_pods_and_apis():
    owner = {"metadata": {"ownerReferences": [{"kind": "ReplicaSet", "name": "single", "controller": True}]}}
    api = Api(dict([pod("web"), pod("one", **owner)]))
    api.controllers = [replicas("replicasets", "single", 1), replicas("replicasets", "many", 2)]
    api.evictions["web"] = (429, "budget")
    before = dict(api.objects)
    found = upgrade_facts.facts(api, Cluster(), [("cp1", api)], ["w1"])
    first, second = found["members"]
    assert first["version"] == "3.6.8" and first["leads"] and first["size"] == 100 and first["quota"] == 2000
    assert first["alarms"] == "memberID:1 alarm:NOSPACE" and first["addresses"] == ["10.0.0.1"]
    assert second["learner"] and not second["serves"] and not second["leads"]
    assert found["blocked"] == {"w1": ["default/web: HTTP 429, budget"]} and found["alone"] == {"w1": ["default/one"]}
    assert found["apis"] == [
        {"server": "cp1", "group": "storage.k8s.io", "version": "v1beta1", "resource": "x", "removed": "1.37"}
    ]
    assert api.objects == before


class Mute(Api):
    """An API server that does not show its metrics. answer: (status, text), or why it does not answer."""

    answer = (500, "")

    def ask(self, method, path, body=None, patience=None):
        if path == "/metrics":
            if isinstance(self.answer, str):
                raise upgrade_facts.ApiError(self.answer)
            return self.answer
        return super().ask(method, path, body, patience)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((403, '{"message": "forbidden"}'), "HTTP 403, forbidden"),
        ((503, "busy"), "HTTP 503, busy"),
        ((200, ""), "HTTP 200, "),
        ((200, "<html>"), "HTTP 200, <html>"),
        ("GET /metrics: timed out", "GET /metrics: timed out"),
    ],
)
def test_an_api_server_without_metrics_does_not_say_that_no_old_api_is_used(answer, why):
    api = Mute()
    api.answer, api.controllers = answer, []
    found = upgrade_facts.facts(api, None, [("cp1", Api()), ("cp2", api)], [])
    assert found["apis_unknown"] == {"cp2": why} and [row["server"] for row in found["apis"]] == ["cp1"]


def test_an_etcd_that_does_not_answer_is_said():
    assert upgrade_facts.facts(FakeApi(), Broken(), [], [])["etcd_error"] == "timed out"
    assert upgrade_facts.facts(FakeApi(), None, [], [])["members"] == []


class OwnOnly(Cluster):
    """K3s's members, of which the own one says how it is."""

    own_only = True

    def members(self):
        return [{**row, "name": row["name"] + "-0a1b2c3d"} for row in super().members()]

    def own_status(self):
        return {"leader": "2", "errors": ["memberID:2 alarm:NOSPACE "], "version": "3.6.8"}

    def status(self, member):
        return self.own_status() if member["ID"] == "1" else {"reached": True}


def test_k3s_own_member_knows_the_leader_and_all_alarms():
    rows = upgrade_facts.members(OwnOnly())
    assert [row["name"] for row in rows] == ["cp1", "cp2"] and all(row["serves"] for row in rows)
    assert [row["leads"] for row in rows] == [False, True]
    assert [row["alarms"] for row in rows] == ["", "memberID:2 alarm:NOSPACE"]


def endpoints(*pods):
    """EndpointSlices of both families, as a dual-stack Service has them. pods: (name, node, ready)."""
    rows = [
        {"targetRef": {"name": name}, "nodeName": node, "conditions": {"ready": ready}} for name, node, ready in pods
    ]
    return [{"endpoints": rows}, {"endpoints": rows}, {"endpoints": None}]


def webhook(name, service, policy="Fail"):
    config = {"service": {"namespace": "hooks", "name": service}} if service else {"url": "https://elsewhere"}
    return {"metadata": {"name": name}, "webhooks": [{"failurePolicy": policy, "clientConfig": config}]}


def test_webhooks_that_one_pod_serves():
    api = Api(dict([pod("web")]))
    api.controllers = []
    api.lists = {
        upgrade_facts.HOOKS + "validatingwebhookconfigurations": [
            webhook("policy", "one"),
            webhook("ignored", "other", "Ignore"),
            webhook("outside", None),
        ],
        upgrade_facts.HOOKS + "mutatingwebhookconfigurations": [webhook("defaults", "one"), webhook("two", "two")],
        upgrade_facts.SLICES % ("hooks", "one"): endpoints(("one-1", "w1", True), ("one-2", "w2", False)),
        upgrade_facts.SLICES % ("hooks", "two"): endpoints(("two-1", "w1", True), ("two-2", "w2", True)),
    }
    assert upgrade_facts.facts(api, None, [], ["w1"])["hooks"] == {"w1": ["hooks/one-1 (defaults, policy)"]}
    assert upgrade_facts.facts(api, None, [], ["w2"])["hooks"] == {}, "its node is not drained"


def test_plans_of_the_system_upgrade_controller():
    plan = {
        "metadata": {"namespace": "system-upgrade", "name": "server"},
        "spec": {"version": "v1.37.1+k3s1", "upgrade": {"image": "rancher/k3s-upgrade"}},
    }
    found = upgrade_facts.plans(FakeApi({upgrade_facts.PLANS: {"items": [plan]}}))
    assert found == [{"name": "system-upgrade/server", "to": "v1.37.1+k3s1", "image": "rancher/k3s-upgrade"}]
    assert upgrade_facts.plans(FakeApi()) == [] == upgrade_facts.plans(FakeApi({upgrade_facts.PLANS: {"items": None}}))
