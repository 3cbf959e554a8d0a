# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operation upgrade on K3s: a server goes through each release as a whole, and its pods are evicted once."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api.drain import CORDONED
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base import versions
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.operations.upgrade import Operation
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema
from ansible_collections.kubewright.cluster.plugins.plugin_utils.operations import upgrade
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import with_inputs
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described, ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.upgrading import Upgraded


class Cluster(Upgraded):
    """A running K3s cluster with three servers on embedded etcd and an agent, that will be upgraded to 1.37.2."""

    def __init__(self, version="1.36.3", inputs=None, servers=3, **wanted):
        given = {"kube_version": version, "kube_distribution": "k3s", **(inputs or {})}
        super().__init__(given, servers, "" if servers > 1 else None, **wanted)
        self.set_versions("v%s+k3s1" % version)

    def set_versions(self, release, host=None):
        """Let the API servers and kubelets of all hosts, or of one, have a release."""
        for server in self.groups["kube_control_plane"]:
            if host in (None, server):
                self.live(server)["version"] = release
        for row in self.rows():
            if host in (None, row["name"]):
                row["kubelet_version"] = release

    def asked(self, wanted):
        """Answer as the module does: every source has what is asked for."""
        if wanted["state"] == "asked":
            return {"cluster": {**self.answer, "lock": ""}, "lock_run": ""}
        self.urls = [url for row in wanted["sources"] for url in row["urls"]]
        nothing = {"missing": {}, "silent": {}}
        return {"files": nothing, "images": nothing}

    def operation(self, **options):
        """Return (the operation after it was put into the plan, the plan)."""
        made = Operation(
            {"force": False, "backup": True, "timeout": 300, **options},
            {"dir": "/backups", "keep": 5},
            [],
            self.asked,
        )
        plan = self.plan()
        made.planned(plan, self.hosts)
        made.into(plan, list(self.hosts))
        return made, plan


@pytest.fixture
def cluster():
    return Cluster()


def test_one_release_evicts_each_node_once_and_the_leader_comes_last(cluster):
    made = cluster.planned()
    assert ids(made["refusals"]) == [] and made["hops"] == ["1.37.2+k3s1"] and made["rounds"] == []
    assert [row["host"] for row in made["windows"]] == ["cp-2", "cp-3", "cp-1"] and made["workers"] == ["w-1"]
    assert made["drained"] == ["cp-1", "cp-2", "cp-3", "w-1"]
    assert made["windows"][0]["asked"] == "cp-3" and made["windows"][2]["asked"] == "cp-2"
    text = "\n".join(made["tasks"])
    assert "K3s 1.36.3+k3s1 → 1.37.2+k3s1, about" in text
    assert "cp-2, cp-3, cp-1: evict pods, K3s 1.37.2+k3s1, programs and files, one after the other" in text
    assert "w-1: evict pods, K3s 1.37.2+k3s1, programs and files, 20% at a time" in text


def test_servers_skip_no_release_and_are_evicted_before_the_last_one_only():
    made = Cluster("1.34.4").planned()
    assert ids(made["refusals"]) == [] and made["hops"] == ["1.35.4+k3s1", "1.36.3+k3s1", "1.37.2+k3s1"]
    assert [(row["host"], row["version"]) for row in made["rounds"]] == [
        (host, version) for version in ("1.35.4+k3s1", "1.36.3+k3s1") for host in ("cp-2", "cp-3", "cp-1")
    ]
    assert [row["host"] for row in made["windows"]] == ["cp-2", "cp-3", "cp-1"] and made["workers"] == ["w-1"]
    assert "cp-2, cp-3, cp-1: K3s 1.35.4+k3s1, one after the other, while their pods keep running" in made["tasks"]


def test_an_interrupted_upgrade_goes_on_with_the_servers_that_are_behind():
    cluster = Cluster("1.35.4")
    cluster.set_versions("v1.36.3+k3s1", "cp-2")
    made = cluster.planned()
    assert [(row["host"], row["version"]) for row in made["rounds"]] == [
        ("cp-3", "1.36.3+k3s1"),
        ("cp-1", "1.36.3+k3s1"),
    ]
    assert len(made["windows"]) == 3
    cluster.set_versions("v1.37.2+k3s1")
    for row in cluster.node("w-1"):
        row["kubelet_version"] = "v1.35.4+k3s1"
    made = cluster.planned()
    assert made["rounds"] == [] and made["workers"] == ["w-1"] and "w-1" in made["drained"]


def test_a_cluster_that_is_there_has_nothing_to_do():
    made = Cluster("1.37.2").planned()
    assert ids(made["refusals"]) == [] and made["tasks"] == ["Every node has K3s 1.37.2+k3s1: nothing to do."]
    assert not (made["rounds"] or made["windows"] or made["workers"] or made["upload"] or made["warnings"])


def test_a_node_that_a_killed_run_drained_is_done_again():
    cluster = Cluster("1.37.2")
    for row in cluster.node("w-1"):
        row["annotations"] = {CORDONED: "upgrade"}
    made, _plan = cluster.operation()
    assert made.made["workers"] == ["w-1"] and made.made["drained"] == ["w-1"] and not made.made["windows"]
    assert not made.shared()["nodes"]["w-1"]["restart"]


def test_another_k3s_release_of_the_same_version_is_an_upgrade_without_eviction():
    made = Cluster("1.36.3", kube_version="1.36.3+k3s2").planned()
    assert ids(made["refusals"]) == [] and made["hops"] == ["1.36.3+k3s2"] and made["drained"] == []
    assert len(made["windows"]) == 3 and made["workers"] == ["w-1"]


def test_the_release_of_the_running_version_says_nothing_of_the_new_one():
    cluster = Cluster()
    cluster.set_versions("v1.36.3+k3s4")
    assert cluster.plan()["release"] == "v1.37.2+k3s1"
    cluster.hosts = with_inputs(cluster.hosts, kube_version="1.36")
    assert cluster.plan()["release"] == "v1.36.3+k3s4"


@pytest.mark.parametrize("version", ["1.36.2", "1.35.4", "1.36.3+k3s1"])
def test_an_older_release_is_refused(version):
    cluster = Cluster(kube_version=version)
    cluster.set_versions("v1.36.3+k3s2")
    made = cluster.planned()
    assert "upgrade.downgrade" in ids(made["refusals"]) and not made["windows"]


def test_a_single_server_is_named_and_asked_itself():
    cluster = Cluster(servers=1)
    made = cluster.planned()
    assert ids(made["refusals"]) == [] and ids(made["warnings"]) == ["upgrade.single_server"]
    assert made["windows"] == [{"host": "cp-1", "name": "cp-1", "asked": "cp-1"}]


@pytest.mark.parametrize(
    "member,expected",
    [
        ({"learner": True}, "upgrade.etcd_learner node=cp-2"),
        ({"serves": False}, "upgrade.etcd_member node=cp-2"),
        ({"alarms": "memberID:1 alarm:NOSPACE"}, "upgrade.etcd_alarm node=cp-2 value=memberID:1 alarm:NOSPACE"),
    ],
)
def test_an_etcd_that_is_not_healthy_is_refused(cluster, member, expected):
    cluster.members[1].update(member)
    assert expected in described(cluster.planned()["refusals"])


def test_plans_of_the_system_upgrade_controller_are_refused(cluster):
    os_patch = {"name": "system-upgrade/patch", "to": "", "image": "ubuntu"}
    cluster.answer["plans"] = [os_patch]
    assert cluster.planned()["refusals"] == []
    server = {"name": "system-upgrade/server", "to": "v1.37.1+k3s1", "image": "docker.io/rancher/k3s-upgrade"}
    cluster.answer["plans"] = [os_patch, server]
    assert described(cluster.planned()["refusals"]) == ["upgrade.plans value=['system-upgrade/server']"]


def test_what_stands_in_the_way_is_refused_together(cluster):
    for row in cluster.node("w-1"):
        row["ready"] = False
    cluster.answer.update(
        blocked={"w-1": ["default/web: HTTP 429, budget"]},
        lost={"cp-1": ["default/alone has no controller that creates it again"]},
        lock="bob@build is changing this cluster",
    )
    found = [finding.id for finding in cluster.planned()["refusals"]]
    assert found == ["upgrade.not_ready", "upgrade.lost_pod", "upgrade.blocked_pod", "cluster.locked"]


def test_a_dead_server_is_refused_with_the_way_out(cluster):
    cluster.live("cp-2").update(healthy=False, error="refused")
    assert ids(cluster.planned()["refusals"]) == ["upgrade.control_plane_down"]


def test_an_agent_that_is_too_old_is_refused_and_a_server_is_not():
    cluster = Cluster("1.34.4")
    for row in cluster.node("w-1"):
        row["kubelet_version"] = "v1.33.9+k3s1"
    assert described(cluster.planned()["refusals"]) == ["upgrade.skew node=w-1 value=1.33.9+k3s1 limit=3"]


@pytest.mark.parametrize(
    "inputs",
    [
        {"k3s_config": {"kube-apiserver-arg": ["feature-gates=SidecarContainers=true,NodeSwap=true"]}},
        {"k3s_config": {"kubelet-arg+": ["feature-gates=SidecarContainers=true"]}},
        {"kubelet_config": {"featureGates": {"SidecarContainers": True}}},
    ],
)
def test_a_removed_feature_gate_is_refused_by_name(inputs):
    cluster = Cluster()
    servers = {host: row for host, row in cluster.hosts.items() if host.startswith("cp")}
    cluster.hosts.update(with_inputs(servers, **inputs))
    found = cluster.planned()["refusals"]
    assert ids(found) == ["upgrade.removed_gate"] and found[0].value == "SidecarContainers"


@pytest.mark.parametrize("key", ["kubelet-arg", "kubelet-arg+"])
def test_a_removed_flag_of_the_kubelet_is_refused_by_name(key):
    """The kubelet of 1.35 does not start with it: https://github.com/kubernetes/kubeadm/issues/3281"""
    for version, refused in (("1.34.4", True), ("1.35.4", False)):
        cluster = Cluster(version)
        cluster.hosts.update(
            with_inputs(cluster.hosts, k3s_config={key: ["pod-infra-container-image=registry.k8s.io/pause:3.10"]})
        )
        found = [row for row in cluster.planned()["refusals"] if row.id == "upgrade.removed_flag"]
        assert [row.node for row in found] == (["cp-1", "cp-2", "cp-3", "w-1"] if refused else [])


def test_members_that_are_not_those_of_the_servers_are_refused(cluster):
    cluster.members[1].update(name="cp-9")
    found = ["upgrade.etcd_stranger value=cp-9", "upgrade.etcd_missing node=cp-2"]
    assert described(cluster.planned()["refusals"]) == found


def test_a_program_of_the_users_cannot_pass_releases():
    cluster = Cluster("1.35.4")
    cluster.hosts = with_inputs(cluster.hosts, k3s_install_method="existing")
    for row in cluster.hosts.values():
        row["info"].setdefault("installed", {})["k3s"] = {"path": "/usr/local/bin/k3s", "version": "v1.37.2+k3s1"}
    assert "upgrade.existing_program" in ids(cluster.planned()["refusals"])


def test_a_datastore_is_not_converted_in_the_same_run(cluster):
    made = cluster.plan()
    made["nodes"]["cp-1"]["action"] = "convert"
    infos = {host: row["info"] for host, row in cluster.hosts.items()}
    inputs = {host: schema.validate(row["inputs"])[0] for host, row in cluster.hosts.items()}
    answer = {**cluster.answer, "lock": ""}
    found = upgrade.plan(made, infos, {**cluster.options, "answer": answer, "inputs": inputs})["refusals"]
    assert ids(found) == ["upgrade.converts"]


def test_a_full_disk_is_refused(cluster):
    cluster.hosts["cp-2"]["info"]["disks"]["/var/lib/rancher/k3s/agent/containerd"] = {"free_bytes": 100}
    assert "upgrade.disk node=cp-2 value=100 limit=1073741824" in described(cluster.planned()["refusals"])


def test_embedded_etcd_is_backed_up_first(cluster):
    made, plan = cluster.operation()
    assert plan["refusals"] == [] and made.made["backup"]["source"] == "cp-1"
    assert made.made["tasks"][1].startswith("first: cp-1: save a snapshot of etcd (3 members)")
    assert "upgrade.no_backup" not in [row["id"] for row in plan["warnings"]]


@pytest.mark.parametrize("endpoint, warned", [("https://db:2379", True), ("postgres://a:b@db:5432/k", False)])
def test_a_datastore_that_backup_does_not_save_is_a_warning(endpoint, warned):
    cluster = Cluster(inputs={"kube_needs": ["external_database"], "k3s_datastore_endpoint": endpoint})
    cluster.answer["members"] = []
    _made, plan = cluster.operation()
    assert plan["refusals"] == []
    assert ("upgrade.no_backup" in ids(plan["warnings"])) == warned
    assert "upgrade.no_backup" not in [row["id"] for row in cluster.operation(backup=False)[1]["warnings"]]


def test_tasks_get_programs_beside_and_what_is_restarted():
    made, plan = Cluster("1.35.4").operation(backup=False)
    assert plan["refusals"] == []
    shared = made.shared()
    assert shared["kind"] == "k3s" and {"role": "upgrade", "tasks": "k3s_programs"} in shared["before"]
    server, agent = shared["nodes"]["cp-2"], shared["nodes"]["w-1"]
    assert [item["dest"] for item in server["programs"]] == [
        "/opt/kubewright/1.36.3+k3s1/k3s",
        "/opt/kubewright/1.37.2+k3s1/k3s",
    ]
    assert [item["dest"] for item in agent["programs"]] == ["/opt/kubewright/1.37.2+k3s1/k3s"]
    assert not any("links" in item for item in server["programs"])
    expected = {"role": "server", "restart": True, "version": "v1.37.2+k3s1", "images": [], "drain": True}
    assert {key: server[key] for key in expected} == expected and agent["role"] == "agent" and agent["restart"]
    first = shared["rounds"][0]
    assert first["host"] == "cp-2" and first["release"] == "v1.36.3+k3s1"
    assert [item["dest"] for item in first["programs"]] == ["/usr/local/bin/k3s"]
    assert made.stages(plan)["planes"] == list(plan["nodes"]) and made.stages(plan)["workers"] == ["w-1"]


def test_the_sources_are_asked_for_every_release():
    cluster = Cluster("1.35.4")
    cluster.operation(backup=False)
    programs = [url for url in cluster.urls if url.endswith("/k3s")]
    assert [url.split("/")[-2] for url in programs] == ["v1.36.3%2Bk3s1", "v1.37.2%2Bk3s1"]


def test_archives_of_images_are_brought_for_every_release():
    made, _plan = Cluster("1.35.4", inputs={"k3s_images": "archive"}).operation(backup=False)
    names = [item["dest"].rsplit("/", 1)[-1] for item in made.shared()["nodes"]["cp-2"]["programs"]]
    assert names == ["k3s", "k3s-airgap-images-amd64.tar.zst"] * 2


def test_the_install_script_comes_with_the_last_release():
    script = {"k3s_install_method": "script", "k3s_install_script": {"checksum": "a" * 64}}
    cluster = Cluster("1.35.4")
    cluster.hosts = with_inputs(cluster.hosts, **script)
    made, _plan = cluster.operation(backup=False)
    places = [item["dest"] for item in made.shared()["nodes"]["cp-2"]["programs"]]
    assert "/opt/kubewright/1.37.2+k3s1/k3s-install.sh" in places
    assert "/opt/kubewright/1.36.3+k3s1/k3s-install.sh" not in places


def test_an_agent_is_restarted_when_its_program_changes(cluster):
    services = cluster.plan()["nodes"]["w-1"]["services"]
    assert services == {"k3s-agent": "restarted"}


def test_releases_are_ordered_by_their_number_too():
    known = ["1.37.0+k3s1", "1.36.3+k3s12", "v1.36.3+k3s2", "1.36.3+k3s1", "v1.36.3"]
    assert sorted(known, key=versions.release_order) == list(reversed(known))
