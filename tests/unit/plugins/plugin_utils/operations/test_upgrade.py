# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operation upgrade: what is done, and everything that speaks against it at once."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api.drain import CORDONED
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.operations.upgrade import Operation
from ansible_collections.kubewright.cluster.plugins.plugin_utils.operations import upgrade
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import running, with_inputs
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described, ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory, machine
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.upgrading import Upgraded


class Cluster(Upgraded):
    """A running cluster of 1.36.3, with three control planes and a worker, that will be upgraded to 1.37.2."""

    def __init__(self, inputs=None, control_planes=3, **wanted):
        super().__init__({"kube_version": "1.36.3", **(inputs or {})}, control_planes, "3.6.12", **wanted)

    def edited(self):
        """Return what is refused because kubeadm would write manifests again."""
        plan = planner.cluster_plan(self.hosts, self.groups, any_version=True)
        return [row for row in plan["refusals"] if row["id"].startswith("manifest.")]


@pytest.fixture
def cluster():
    return Cluster()


def test_the_plan_names_versions_rounds_and_drained_nodes(cluster):
    made = cluster.planned()
    assert ids(made["refusals"]) == [] and made["hops"] == ["1.37.2"]
    assert [(row["host"], row["kind"]) for row in made["rounds"]] == [
        ("cp-2", "apply"),
        ("cp-3", "node"),
        ("cp-1", "node"),
    ]
    assert [row["host"] for row in made["windows"]] == ["cp-2", "cp-3", "cp-1"] and made["workers"] == ["w-1"]
    assert made["drained"] == ["cp-1", "cp-2", "cp-3", "w-1"] and made["upload"]
    text = "\n".join(made["tasks"])
    assert "Kubernetes 1.36.3 → 1.37.2, about" in text
    assert "cp-2, cp-3, cp-1: Kubernetes 1.37.2, etcd 3.7.0-0, one after the other" in text
    assert "w-1: evict pods, kubelet 1.37.2, programs and files, 20% at a time" in text
    assert "registry.k8s.io/kube-apiserver:v1.37.2" in made["images"]["control_plane"]
    assert "registry.k8s.io/etcd:3.7.0-0" in made["images"]["control_plane"]
    assert "registry.k8s.io/kube-proxy:v1.37.2" in made["images"]["worker"]
    assert not any("apiserver" in image for image in made["images"]["worker"])


def test_a_new_cluster_gets_an_etcd_from_which_the_next_release_can_be_reached(cluster):
    hosts, groups = running({"kube_version": "1.36.3"})
    plan = planner.cluster_plan(hosts, groups)
    assert plan["etcd_tag"] == "3.6.11-0" and "imageTag: 3.6.11-0" in plan["nodes"]["cp-1"]["kubeadm"]["init"]
    assert "registry.k8s.io/etcd:3.6.11-0" in plan["images"]
    assert cluster.plan()["etcd_tag"] == ""  # kubeadm 1.37's own will do


def test_a_running_cluster_keeps_the_etcd_that_it_has():
    hosts, groups = running({"kube_version": "1.36.3"})
    for host in groups["kube_control_plane"]:
        config = hosts[host]["info"]["cluster"]["live"]["kubeadm_config"]
        config["ClusterConfiguration"] = config["ClusterConfiguration"].replace(
            "imageTag: 3.6.11-0", "dataDir: /var/lib/etcd"
        )
    plan = planner.cluster_plan(hosts, groups)
    assert plan["etcd_tag"] == "" and not plan["refusals"] and not plan["drift"]


def test_site_refuses_another_version_and_names_the_playbook(cluster):
    plan = planner.cluster_plan(cluster.hosts, cluster.groups)
    assert ids(plan["refusals"]) == ["version.differs"] and "kubewright.cluster.upgrade" in plan["refusals"][0]["text"]


def test_site_refuses_a_cluster_that_is_half_upgraded(cluster):
    for host in cluster.groups["kube_control_plane"]:
        cluster.live(host)["version"] = "v1.37.2"
    cluster.live("cp-3")["version"] = "v1.36.3"
    plan = planner.cluster_plan(cluster.hosts, cluster.groups)
    assert described(plan["refusals"])[:2] == [
        "version.unfinished node=cp-1 value=1.36.3 limit=1.37.2",
        "version.unfinished node=cp-2 value=1.36.3 limit=1.37.2",
    ]
    assert ids(planner.cluster_plan(cluster.hosts, cluster.groups, leaving=["x"])["refusals"]) == []


def test_a_cluster_that_is_there_has_nothing_to_do():
    cluster = Cluster({"kube_version": "1.37.2"})
    for member in cluster.members:
        member["version"] = "3.7.0"
    made = cluster.planned()
    assert ids(made["refusals"]) == [] and made["tasks"] == ["Every node has Kubernetes 1.37.2: nothing to do."]
    assert not (made["rounds"] or made["windows"] or made["workers"] or made["upload"])


def test_a_node_that_a_killed_run_drained_is_done_again():
    cluster = Cluster({"kube_version": "1.37.2"})
    for member in cluster.members:
        member["version"] = "3.7.0"
    for row in cluster.node("w-1"):
        row["annotations"] = {CORDONED: "upgrade"}
    made = cluster.planned()
    assert made["workers"] == ["w-1"] and made["drained"] == ["w-1"] and not made["windows"]


def test_a_patch_release_evicts_nobody():
    cluster = Cluster({"kube_version": "1.37.1"})
    for member in cluster.members:
        member["version"] = "3.7.0"
    made = cluster.planned()
    assert made["hops"] == ["1.37.2"] and made["drained"] == [] and len(made["windows"]) == 3
    assert not any(row["etcd"] for row in made["rounds"])


def test_a_single_control_plane_is_told_of_the_gap():
    cluster = Cluster(control_planes=1)
    made = cluster.planned()
    assert ids(made["refusals"]) == [] and ids(made["warnings"]) == ["upgrade.single_control_plane"]


@pytest.mark.parametrize(
    "member,expected",
    [
        ({"learner": True}, "upgrade.etcd_learner node=cp-2"),
        ({"serves": False}, "upgrade.etcd_member node=cp-2"),
        ({"alarms": "alarm:NOSPACE"}, "upgrade.etcd_alarm node=cp-2 value=alarm:NOSPACE"),
        ({"size": 1800 << 20}, "upgrade.etcd_full node=cp-2 value=1887436800 limit=2147483648"),
    ],
)
def test_an_etcd_that_is_not_healthy_is_refused(cluster, member, expected):
    cluster.members[1].update(member)
    assert expected in described(cluster.planned()["refusals"])


def test_members_that_are_not_those_of_the_control_planes_are_refused(cluster):
    """Removed members came back with etcd 3.6: https://github.com/k3s-io/k3s/issues/13485"""
    gone = {**cluster.members[1], "id": "9", "name": "cp-9", "serves": False}
    cluster.members.append(gone)
    assert "upgrade.etcd_stranger value=cp-9" in described(cluster.planned()["refusals"])
    del cluster.members[1:2], cluster.members[-1]
    assert described(cluster.planned()["refusals"]) == ["upgrade.etcd_missing node=cp-2"]


@pytest.mark.parametrize("version, refused", [("3.5.21", True), ("3.5.25", True), ("3.5.26", False), ("3.6.5", False)])
def test_members_below_the_floor_of_a_release_between_are_refused(cluster, version, refused):
    cluster.members[1].update(version=version)  # one of three is enough
    made = cluster.planned()
    expected = ["upgrade.etcd_floor value=%s limit=3.5.26" % version] if refused else []
    assert described(made["refusals"]) == expected
    if refused:
        assert not made["rounds"] and "imageTag" in made["refusals"][0].text
    else:
        assert made["etcd"]["carried"] == "3.6.11-0"


def test_the_image_that_the_floor_asks_for_can_be_had_without_another_release():
    cluster = Cluster({"kubeadm_cluster_config": {"etcd": {"local": {"imageTag": "3.5.27-0"}}}}, kube_version="1.36.3")
    for member in cluster.members:
        member["version"] = "3.5.21"
    made = cluster.planned()
    assert not made["refusals"] and [row["etcd"] for row in made["rounds"]] == [True] * 3


def test_an_etcd_that_does_not_answer_is_refused(cluster):
    cluster.answer.update(members=[], etcd_error="timed out")
    assert "upgrade.etcd_silent" in ids(cluster.planned()["refusals"])


def test_a_dead_control_plane_is_refused_with_the_way_out(cluster):
    cluster.live("cp-2").update(healthy=False, error="refused")
    [found] = cluster.planned()["refusals"]
    assert ids([found]) == ["upgrade.control_plane_down"] and "kubewright.cluster.remove" in found.text


@pytest.mark.parametrize("version", ["1.36.2", "1.35.4"])
def test_an_older_version_is_refused(version):
    cluster = Cluster()
    cluster.hosts = with_inputs(cluster.hosts, kube_version=version)
    made = cluster.planned()
    assert "upgrade.downgrade" in ids(made["refusals"]) and not made["rounds"]


def test_without_a_version_nothing_is_guessed():
    cluster = Cluster()
    cluster.hosts = with_inputs(cluster.hosts, kube_version=None)
    assert ids(cluster.planned()["refusals"]) == ["upgrade.no_version"]


def test_new_machines_are_no_cluster():
    hosts, groups = inventory(1, 1, {"kube_version": "1.37.2"})
    plan = planner.cluster_plan(hosts, groups, any_version=True)
    infos = {host: row["info"] for host, row in hosts.items()}
    assert ids(upgrade.early(plan, infos, "1.37.2")) == ["upgrade.no_cluster"]


def test_a_cluster_whose_configuration_cannot_be_read_is_refused(cluster):
    plan = cluster.plan()
    for host in cluster.groups["kube_control_plane"]:
        cluster.live(host)["kubeadm_config"] = {"ClusterConfiguration": "kind: ClusterConfiguration"}
    infos = {host: row["info"] for host, row in cluster.hosts.items()}
    assert ids(upgrade.early(plan, infos, "1.37.2")) == ["upgrade.no_config"]


def test_a_machine_that_has_not_joined_is_left_to_site(cluster):
    cluster.hosts["w-2"] = {**cluster.hosts["w-1"], "info": machine("w-2", "10.0.0.29")}
    cluster.groups["kube_node"].append("w-2")
    assert "upgrade.not_joined node=w-2" in described(cluster.planned()["refusals"])


def test_a_cluster_that_does_not_say_how_it_is_is_refused(cluster):
    options = {"force": False, "backup": False, "timeout": 300}
    asked = Operation(options, {}, [], lambda _wanted: {"failed": True, "msg": "timed out"})
    asked.planned(cluster.plan(), cluster.hosts)
    assert described(asked.refusals) == ["upgrade.not_asked"] and asked.answer is None


def test_a_kubelet_that_is_too_old_is_refused(cluster):
    for row in cluster.node("w-1"):
        row["kubelet_version"] = "v1.33.9"
    assert "upgrade.skew node=w-1 value=1.33.9 limit=3" in described(cluster.planned()["refusals"])


def test_a_release_before_the_catalog_is_refused(cluster):
    for host in cluster.groups["kube_control_plane"]:
        cluster.live(host)["version"] = "v1.33.9"
    assert described(cluster.planned()["refusals"]) == ["upgrade.too_old value=1.33.9 limit=1.34"]


def test_a_member_that_a_former_machine_left_is_named_and_not_the_node(cluster):
    """The way out must not be to remove the node, which serves."""
    cluster.members.append({**cluster.members[1], "id": "255", "addresses": ["10.0.0.99"], "serves": False})
    found = cluster.planned()["refusals"]
    assert [row.id for row in found] == ["upgrade.etcd_twice"] and "ff at 10.0.0.99" in found[0].text
    assert ids(found)


def test_a_node_under_pressure_is_refused(cluster):
    """Seen on a cluster: kubeadm's first check did not end, after the control plane was out of its endpoint."""
    for row in cluster.node("cp-2"):
        row["taints"] = [*row["taints"], {"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"}]
    found = described(cluster.planned()["refusals"])
    assert "upgrade.pressure node=cp-2 value=['disk space']" in found


def test_a_node_that_does_not_report_is_refused(cluster):
    for row in cluster.node("w-1"):
        row["ready"] = False
    assert "upgrade.not_ready node=w-1" in described(cluster.planned()["refusals"])


GATE = {"name": "feature-gates", "value": "SidecarContainers=true,NodeSwap=true"}


@pytest.mark.parametrize(
    "inputs,expected",
    [
        ({"kubeadm_cluster_config": {"apiServer": {"extraArgs": [GATE]}}}, "upgrade.removed_gate"),
        ({"kubelet_config": {"featureGates": {"SidecarContainers": True}}}, "upgrade.removed_gate"),
        ({"kubeadm_proxy_config": {"featureGates": {"SidecarContainers": True}}}, "upgrade.removed_gate"),
        ({"kubeadm_cluster_config": {"featureGates": {"NodeLocalCRISocket": True}}}, "upgrade.removed_gate"),
        (
            {
                "kubeadm_cluster_config": {
                    "etcd": {"local": {"extraArgs": [{"name": "experimental-memory-mlock", "value": "1"}]}}
                }
            },
            "upgrade.removed_flag",
        ),
    ],
)
def test_what_the_new_release_does_not_know_is_refused_by_name(inputs, expected):
    found = Cluster(inputs).planned()["refusals"]
    assert ids(found) == [expected] and found[0].limit in ("1.37", "3.7")


@pytest.mark.parametrize("version, refused", [("1.34.4", True), ("1.35.4", False)])
def test_a_removed_flag_of_the_kubelet_is_refused_by_name(version, refused):
    """The kubelet of 1.35 does not start with it: https://github.com/kubernetes/kubeadm/issues/3281"""
    flag = {"name": "pod-infra-container-image", "value": "registry.k8s.io/pause:3.10"}
    config = {"nodeRegistration": {"kubeletExtraArgs": [flag]}}
    cluster = Upgraded({"kube_version": version, "kubeadm_join_config": config}, 3, "3.6.12")
    found = [row for row in cluster.planned()["refusals"] if row.id == "upgrade.removed_flag"]
    assert [row.node for row in found] == (["cp-1", "cp-2", "cp-3", "w-1"] if refused else [])


def test_a_gate_that_went_in_an_earlier_release_is_not_this_upgrades_matter():
    cluster = Cluster()
    cluster.hosts = with_inputs(cluster.hosts, kubelet_config={"featureGates": {"TopologyAwareHints": True}})
    assert not cluster.planned()["refusals"]


def test_apis_in_use_pods_in_the_way_and_a_lock_are_refused_together(cluster):
    cluster.answer.update(
        apis=[
            {"server": "cp-1", "group": "storage.k8s.io", "version": "v1beta1", "resource": "x", "removed": "1.37"},
            {"server": "cp-1", "group": "storage.k8s.io", "version": "v1beta1", "resource": "y", "removed": "1.38"},
        ],
        blocked={"w-1": ["default/web: HTTP 429, budget"]},
        lost={"w-1": ["default/alone has no controller that creates it again"]},
        lock="bob@build is changing this cluster",
    )
    found = cluster.planned()["refusals"]
    expected = ["upgrade.removed_api", "upgrade.blocked_pod", "upgrade.lost_pod", "cluster.locked"]
    assert [finding.id for finding in found] == expected and ids(found[:3])
    cluster.options["force"] = True
    assert "upgrade.lost_pod" not in [finding.id for finding in cluster.planned()["refusals"]]


def test_apis_that_nobody_could_ask_for_are_refused(cluster):
    cluster.answer.update(apis_unknown={"cp-1": "HTTP 503, busy"})
    assert [finding.id for finding in cluster.planned()["refusals"]] == ["upgrade.apis_unknown"]
    assert ids(cluster.planned()["refusals"])


def test_pods_without_a_second_one_are_named(cluster):
    cluster.answer.update(alone={"w-1": ["default/web-1"]}, hooks={"w-1": ["hooks/one-1 (policy)"]})
    assert described(cluster.planned()["warnings"]) == [
        "upgrade.single_replica node=w-1 value=['default/web-1']",
        "upgrade.single_webhook node=w-1 value=['hooks/one-1 (policy)']",
    ]


def test_a_full_disk_is_refused(cluster):
    cluster.hosts["cp-2"]["info"]["disks"]["/var/lib/containerd"]["free_bytes"] = 100
    assert "upgrade.disk node=cp-2 value=100 limit=1073741824" in described(cluster.planned()["refusals"])


def test_other_changes_come_first(cluster):
    audit = {"apiServer": {"extraArgs": [{"name": "audit-log-maxage", "value": "7"}]}}
    cluster.hosts = with_inputs(cluster.hosts, kubeadm_cluster_config=audit)
    assert ids(cluster.planned()["refusals"]) == ["upgrade.site_first"]


def test_an_image_of_the_users_that_goes_back_is_refused(cluster):
    older = {"etcd": {"local": {"imageTag": "3.6.8-0"}}}
    cluster.hosts = with_inputs(cluster.hosts, kubeadm_cluster_config=older)
    assert "upgrade.etcd_tag" in ids(cluster.planned()["refusals"])


def test_what_was_edited_in_manifests_is_not_lost(cluster):
    """An API server fell back to a dead etcd at an upgrade: https://github.com/kubernetes/kubernetes/issues/93161"""
    facts = cluster.hosts["cp-2"]["info"]["cluster"]
    facts.update(flags={"kube-apiserver": ["etcd-servers", "secure-port"]}, etcd_servers=["https://127.0.0.1:2379"])
    assert ids(cluster.edited()) == []
    facts["flags"] = {"kube-apiserver": ["oidc-issuer-url", "secure-port"], "kube-scheduler": ["profiling"]}
    facts["etcd_servers"] = ["https://10.0.0.8:2379"]
    assert described(cluster.edited()) == [
        "manifest.edited node=cp-2 value=oidc-issuer-url",
        "manifest.edited node=cp-2 value=profiling",
        "manifest.etcd_servers node=cp-2 value=https://10.0.0.8:2379 limit=https://127.0.0.1:2379",
    ]
    assert ids(planner.cluster_plan(cluster.hosts, cluster.groups)["refusals"]) == ["version.differs"]


def test_flags_that_were_edited_may_come_from_the_inventory_or_from_patches(cluster):
    flag = {"apiServer": {"extraArgs": [{"name": "oidc-issuer-url", "value": "https://a.example"}]}}
    for host in cluster.groups["kube_control_plane"]:
        cluster.hosts[host]["info"]["cluster"]["flags"] = {"kube-apiserver": ["oidc-issuer-url"]}
    cluster.hosts = with_inputs(cluster.hosts, kube_version="1.36.3", kubeadm_cluster_config=flag)
    plan = planner.cluster_plan(cluster.hosts, cluster.groups)
    assert plan["drift"] and not plan["refusals"]  # site takes it over
    other = {"apiServer": {"extraArgs": [{"name": "audit-log-maxage", "value": "7"}]}}
    cluster.hosts = with_inputs(cluster.hosts, kubeadm_cluster_config=other)
    found = planner.cluster_plan(cluster.hosts, cluster.groups)["refusals"]
    assert ids(found) == ["manifest.edited"] * 3
    cluster.hosts = with_inputs(cluster.hosts, kubeadm_init_config={"patches": {"directory": "/etc/patches"}})
    assert not planner.cluster_plan(cluster.hosts, cluster.groups)["refusals"]


@pytest.mark.parametrize(
    "given, planes, workers",
    [
        ({"kubeadm_init_config": "/init"}, "/init", ""),
        ({"kubeadm_join_config": "/join"}, "/join", "/join"),
        ({"kubeadm_init_config": "/init", "kubeadm_join_config": "/join"}, "/init", "/join"),
        ({}, "", ""),
    ],
)
def test_patches_of_the_users_go_along(given, planes, workers):
    cluster = Cluster({name: {"patches": {"directory": place}} for name, place in given.items()})

    def ask(wanted):
        nothing = {"missing": {}, "silent": {}}
        known = {"cluster": {**cluster.answer, "lock": ""}, "lock_run": ""}
        return known if wanted["state"] == "asked" else {"files": nothing, "images": nothing}

    options = {"force": False, "backup": False, "timeout": 300, "before_node": None, "after_node": None}
    made, plan = Operation(options, {}, [], ask), cluster.plan()
    made.planned(plan, cluster.hosts)
    made.into(plan, list(cluster.hosts))
    assert not plan["refusals"]
    shared = made.shared()
    assert {row["patches"] for row in shared["rounds"]} == {planes}
    assert {host: row["patches"] for host, row in shared["nodes"].items()} == {
        **dict.fromkeys(("cp-1", "cp-2", "cp-3"), planes),
        "w-1": workers,
    }


def test_an_image_of_the_users_is_kept():
    cluster = Cluster({"kubeadm_cluster_config": {"etcd": {"local": {"imageTag": "3.6.12-0"}}}})
    made = cluster.planned()
    assert not made["refusals"] and not any(row["etcd"] for row in made["rounds"])
