# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files in K3s's auto-deploy folder: their content, their changes and removal, none of which restarts K3s."""

from __future__ import annotations

import hashlib

import pytest
import yaml
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema as inputs
from ansible_collections.kubewright.cluster.plugins.plugin_utils.k3s import (
    auto_deploy as k3s_addons,
    node_files,
)
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import applied, inventory

K3S = {"kube_distribution": "k3s"}
FOLDER = "/var/lib/rancher/k3s/server/manifests/"
MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: hunter2}\n"


def manifest(name="web", content=MAP, **more):
    return {"name": name, "content": content, **more}


def wanted(**given):
    values, problems = inputs.validate(given)
    assert problems == []
    return values


def running(control_planes=3, workers=1, **given):
    hosts, groups = inventory(control_planes, workers, {**K3S, **given})
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == []
    for host in hosts:
        hosts[host]["info"] = applied(hosts[host]["info"], plan["nodes"][host], plan)
    return hosts, groups, plan


def entries(plan, host):
    found = plan["nodes"][host]["files"]["k3s"]
    return {entry["path"][len(FOLDER) :]: entry for entry in found if entry["path"].startswith(FOLDER)}


def again(hosts, groups, **given):
    for row in hosts.values():
        row["inputs"].update(given)
    return planner.cluster_plan(hosts, groups)


def test_every_server_has_the_files_and_agents_have_none():
    _hosts, _groups, plan = running(
        k3s_manifests=[manifest()],
        k3s_helm_charts=[{"name": "lb", "chart": "metallb", "repo": "https://metallb.github.io/metallb"}],
        k3s_helm_configs=[{"name": "traefik", "values": {"a": 1}}],
    )
    names = ["kubewright-chart-lb.yaml", "kubewright-config-traefik.yaml", "kubewright-web.yaml"]
    assert sorted(entries(plan, "cp-1")) == sorted(entries(plan, "cp-3")) == names and entries(plan, "w-1") == {}
    assert {entry["mode"] for entry in entries(plan, "cp-1").values()} == {"0600"}
    assert entries(plan, "cp-1")["kubewright-web.yaml"]["content"] == MAP
    digest = hashlib.sha256(MAP.encode()).hexdigest()
    assert plan["addons"]["wanted"]["kubewright-web"] == digest
    assert sorted(plan["addons"]["wanted"]) == [name[:-5] for name in names]


def test_a_chart_becomes_a_helm_chart_object():
    item = {
        "name": "db", "chart": "postgresql", "repo": "https://charts.example", "version": "1.2", "namespace": "db",
        "create_namespace": True, "values": {"auth": {"user": "x"}}, "set": {"a": "b"}, "auth_secret": "login",
        "bootstrap": False, "timeout": "10m",
        "values_secrets": [{"name": "s", "keys": ["k"], "ignore_updates": True}],
    }  # fmt: skip
    made = yaml.safe_load(k3s_addons.texts(wanted(k3s_helm_charts=[item]))["kubewright-chart-db"])
    assert made["kind"] == "HelmChart" and made["metadata"] == {"name": "db", "namespace": "kube-system"}
    assert made["spec"] == {
        "chart": "postgresql", "repo": "https://charts.example", "version": "1.2", "targetNamespace": "db",
        "createNamespace": True, "bootstrap": False, "timeout": "10m", "set": {"a": "b"},
        "authSecret": {"name": "login"},
        "valuesContent": "auth:\n  user: x\n", "valuesSecrets": [{"name": "s", "keys": ["k"], "ignoreUpdates": True}],
    }  # fmt: skip


def test_a_set_of_values_for_a_packaged_chart():
    given = wanted(k3s_helm_configs=[{"name": "traefik", "values": {"ports": {"web": 1}}}])
    made = yaml.safe_load(k3s_addons.texts(given)["kubewright-config-traefik"])
    assert made["kind"] == "HelmChartConfig" and yaml.safe_load(made["spec"]["valuesContent"]) == {"ports": {"web": 1}}


def test_a_second_run_has_nothing_to_do():
    hosts, groups, _plan = running(k3s_manifests=[manifest()])
    assert all(node["steps"] == {} for node in planner.cluster_plan(hosts, groups)["nodes"].values())


def test_a_changed_manifest_is_written_and_restarts_nothing():
    hosts, groups, _plan = running(k3s_manifests=[manifest()])
    plan = again(hosts, groups, k3s_manifests=[manifest(content=MAP + "data: {b: c}\n")])
    for host in ("cp-1", "cp-2", "cp-3"):
        assert plan["nodes"][host]["steps"] == {"k3s": [FOLDER + "kubewright-web.yaml differs"]}
        assert plan["nodes"][host]["services"] == {} and "change" in plan["nodes"][host]["stages"]
    assert plan["nodes"]["w-1"]["steps"] == {}


def test_a_file_that_is_newer_than_the_service_restarts_nothing():
    hosts, groups, _plan = running(1, 0, k3s_manifests=[manifest()])
    hosts["cp-1"]["info"]["files"][FOLDER + "kubewright-web.yaml"]["mtime"] = 900.0
    assert planner.cluster_plan(hosts, groups)["nodes"]["cp-1"]["services"] == {}


@pytest.mark.parametrize(
    "given", [[manifest(state="absent")], [{"name": "web", "state": "absent"}], [manifest("other")]]
)
def test_a_dropped_manifest_is_removed_from_every_server(given):
    hosts, groups, _plan = running(k3s_manifests=[manifest()])
    plan = again(hosts, groups, k3s_manifests=given)
    assert plan["refusals"] == []
    for host in ("cp-1", "cp-2", "cp-3"):
        path = FOLDER + "kubewright-web.yaml"
        assert entries(plan, host)["kubewright-web.yaml"] == {"path": path, "state": "absent", "secret": True}
        assert any(path in why for why in plan["nodes"][host]["steps"]["k3s"]) and plan["nodes"][host]["services"] == {}
    assert "kubewright-web" not in plan["addons"]["wanted"]


def test_files_stay_where_none_is_listed_at_all():
    """It may be a variable that was not read. With another input that lists a file, it was."""
    chart = {"name": "lb", "chart": "metallb"}
    hosts, groups, _plan = running(k3s_manifests=[manifest()], k3s_helm_charts=[chart])
    plan = again(hosts, groups, k3s_manifests=[], k3s_helm_charts=[])
    names = ["kubewright-chart-lb", "kubewright-web"]
    assert plan["addons"] == {"wanted": {}, "kept": names} and plan["refusals"] == []
    assert described(plan["warnings"]) == ["auto_deploy.kept value=%s" % names]
    for host in ("cp-1", "cp-2", "cp-3"):
        assert entries(plan, host) == {}
        assert not any("manifests" in why for why in plan["nodes"][host]["steps"].get("k3s", []))
    plan = again(hosts, groups, k3s_manifests=[], k3s_helm_charts=[chart])
    assert plan["addons"]["kept"] == [] and entries(plan, "cp-1")["kubewright-web.yaml"]["state"] == "absent"


def test_foreign_and_missing_files_are_ignored():
    hosts, groups, _plan = running(1, 0, k3s_manifests=[manifest()])
    info = hosts["cp-1"]["info"]
    info["files"][FOLDER + "kubewright-web.yaml"] = None
    info["files"][FOLDER + "kubewright-theirs.yaml"] = {"sha256": "0", "mode": "0600"}
    plan = again(hosts, groups, k3s_manifests=[manifest(state="absent")])
    assert entries(plan, "cp-1") == {} and plan["nodes"]["cp-1"]["steps"] == {}


def test_a_server_outside_of_the_run_keeps_its_files():
    hosts, groups, _plan = running(k3s_manifests=[manifest()])
    plan = again(hosts, groups, k3s_manifests=[manifest(state="absent")])
    servers = {host: plan["nodes"][host] for host in plan["control_planes"]}
    assert k3s_addons.left(servers, ["cp-1", "cp-2", "w-1"]) == {"cp-3": ["kubewright-web"]}
    assert k3s_addons.left(servers, list(hosts)) == {}


def test_the_folder_follows_the_data_directory():
    _hosts, _groups, plan = running(1, 0, k3s_manifests=[manifest()], kube_data_dir="/srv/data")
    paths = {entry["path"] for entry in plan["nodes"]["cp-1"]["files"]["k3s"]}
    assert "/srv/data/rancher/k3s/server/manifests/kubewright-web.yaml" in paths


def test_a_secret_is_in_no_plan_and_restarts_nothing():
    given = {"k3s_manifests": [manifest(content=MAP + "---\n" + SECRET)]}
    hosts, groups = inventory(1, 1, {**K3S, **given})
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and "hunter2" not in repr(plan)
    assert plan["nodes"]["cp-1"]["steps"]["credentials"] == [FOLDER + "kubewright-web.yaml is missing"]
    assert "credentials" not in plan["nodes"]["w-1"]["steps"]
    node = {"role": "control_plane", "inputs": wanted(**given)}
    (entry,) = node_files.secret_files(node, {"no_proxy": [], "endpoint": plan["endpoint"]})
    content = MAP + "---\n" + SECRET
    assert entry == {"path": FOLDER + "kubewright-web.yaml", "content": content, "mode": "0600", "secret": True}
    hosts, groups, _plan = running(1, 0)
    plan = again(hosts, groups, **given)
    assert list(plan["nodes"]["cp-1"]["steps"]) == ["credentials"] and plan["nodes"]["cp-1"]["services"] == {}


def test_a_list_may_contain_a_secret():
    secret = "{apiVersion: v1, kind: Secret, metadata: {name: a}}"
    assert k3s_addons.has_secret("apiVersion: v1\nkind: List\nitems: [%s]\n" % secret)
    assert not k3s_addons.has_secret(MAP) and not k3s_addons.has_secret(MAP + "data: {when: 2026-01-01, equals: =}\n")


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: SecretList\nitems: []\n",
        "kind: List\nitems: [{kind: List, items: [{kind: Secret, metadata: {name: a}}]}]\n",
        "kind: ConfigMapList\nitems: [{kind: Secret}]\n",
        MAP + "data: {url: 'postgres://u:hunter2@db/x'}\n",
        MAP + "data: {DB_PASSWORD: hunter2}\n",
        "kind: HelmChart\nspec: {valuesContent: 'auth: {password: hunter2}'}\n",
    ],
)
def test_what_may_be_secret_is_in_no_plan(text):
    assert k3s_addons.has_secret(text)


def test_a_file_of_the_controller_is_read_beside_playbook_or_inventory(tmp_path):
    (tmp_path / "web.yml").write_text(MAP)
    for source, folders in (("web.yml", ["/nowhere", str(tmp_path)]), (str(tmp_path / "web.yml"), [])):
        given, problems = k3s_addons.read({"k3s_manifests": [{"name": "web", "src": source}]}, folders)
        assert problems == [] and given["k3s_manifests"] == [{"name": "web", "content": MAP}]
    _given, problems = k3s_addons.read({"k3s_manifests": [{"name": "web", "src": "gone.yml"}]}, [str(tmp_path)])
    assert described(problems) == ["k3s_manifest.unreadable value=gone.yml"]
    (tmp_path / "image.yml").write_bytes(b"\xff\xfe")
    _given, problems = k3s_addons.read({"k3s_manifests": [{"name": "web", "src": "image.yml"}]}, [str(tmp_path)])
    assert described(problems) == ["k3s_manifest.unreadable value=image.yml"]
    assert k3s_addons.read({"k3s_manifests": "x"}, [])[1] == k3s_addons.read({}, [])[1] == []


def charts(*items):
    return {"k3s_helm_charts": list(items)}


WEB = "k3s_manifest.invalid value=web"
BAD = [
    ({"k3s_manifests": [{"name": "x"}]}, "k3s_manifest.content_or_src value=x"),
    ({"k3s_manifests": [{"name": "x", "content": MAP, "src": "/x"}]}, "k3s_manifest.content_or_src value=x"),
    ({"k3s_manifests": [manifest(content="a: b: c\n")]}, WEB),
    ({"k3s_manifests": [manifest(content=MAP + "---\nkind: Pod\n")]}, WEB),
    ({"k3s_manifests": [manifest(content="- a\n")]}, WEB),
    ({"k3s_manifests": [manifest(content="# nothing\n")]}, WEB),
    (
        {"k3s_manifests": [manifest(), manifest()]},
        "auto_deploy.same_file value=['k3s_manifests[web]', 'k3s_manifests[web]'] limit=kubewright-web.yaml",
    ),
    (
        {"k3s_manifests": [manifest("chart-x")], **charts({"name": "x", "chart": "y"})},
        "auto_deploy.same_file value=['k3s_manifests[chart-x]', 'k3s_helm_charts[x]'] limit=kubewright-chart-x.yaml",
    ),
    ({"k3s_manifests": [manifest("My_Web")]}, "auto_deploy.name value=My_Web"),
    ({"k3s_manifests": [manifest("a" * 54)]}, "auto_deploy.name value=" + "a" * 54),
    (charts({"name": "x", "repo": "https://y"}), "helm_chart.no_chart value=x"),
    (charts({"name": "x", "chart": "y", "chart_content": "ejo="}), "helm_chart.two_charts value=x"),
    (
        charts({"name": "traefik", "chart": "traefik"}),
        "helm_chart.packaged_name value=traefik limit=['traefik', 'traefik-crd']",
    ),
]


@pytest.mark.parametrize(("given", "wanted"), BAD)
def test_bad_input(given, wanted):
    assert described(planner.cluster_plan(*inventory(1, 1, {**K3S, **given}))["refusals"]) == [wanted]


@pytest.mark.parametrize(
    "given",
    [
        {"k3s_manifests": [{**manifest(), "contents": "x"}]},
        charts({"chart": "y"}),
        charts({"name": "x", "chart": "y", "targetNamespace": "z"}),
        charts({"name": "x", "chart": "y", "failure_policy": "never"}),
        {"k3s_helm_configs": [{"name": "traefik"}]},
        {"k3s_manifests": "web.yaml"},
    ],
)
def test_input_of_another_form_is_refused_once(given):
    (refusal,) = planner.cluster_plan(*inventory(1, 1, {**K3S, **given}))["refusals"]
    assert refusal["id"].startswith("inputs.")


@pytest.mark.parametrize("password", ["*hunter2", "!hunter2", "[hunter2", "'hunter2", "&hunter2 &hunter3 x"])
def test_a_mistake_in_a_secret_shows_none_of_it(password):
    given = {"k3s_manifests": [manifest(content=SECRET.replace("hunter2", password))]}
    (refusal,) = planner.cluster_plan(*inventory(1, 1, {**K3S, **given}))["refusals"]
    assert refusal["id"] == "k3s_manifest.invalid" and "hunter" not in repr(refusal)


def test_servers_that_differ_are_refused_without_their_values():
    hosts, groups = inventory(3, 1, {**K3S, "k3s_manifests": [manifest(content=SECRET)]})
    hosts["cp-3"]["inputs"]["k3s_manifests"] = []
    hosts["w-1"]["inputs"]["k3s_manifests"] = []
    (refusal,) = planner.cluster_plan(hosts, groups)["refusals"]
    assert all(word in refusal["text"] for word in ("k3s_manifests", "cp-1", "cp-3")) and "hunter2" not in repr(refusal)


def test_kubeadm_has_none():
    assert planner.cluster_plan(*inventory(1, 1))["addons"] is None


class TaggedText(str):
    """Ansible hands over text as a subclass of str, which libyaml's parser does not accept."""


def test_text_of_ansible_is_parsed():
    assert k3s_addons.documents(TaggedText(MAP))[0]["kind"] == "ConfigMap"
