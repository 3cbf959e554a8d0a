# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan's action plugin: prints, refuses, keeps each host's part; and the lookups that read it."""

from __future__ import annotations

import base64
import json

import pytest
from ansible.errors import AnsibleError
from ansible_collections.kubewright.cluster.plugins.action import plan as plan_action
from ansible_collections.kubewright.cluster.plugins.lookup import cluster_hosts, planned
from ansible_collections.kubewright.cluster.plugins.module_utils.detect.cluster import ADMIN_DATA, admin_digests
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import kubeconfig
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.operations import plan_findings
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import running
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described, ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import applied, inventory

A = '{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: web}, data: {x: "1"}}'
SECRET = "{apiVersion: v1, kind: Secret, metadata: {name: login}, stringData: {password: hunter2hunter2}}"


def run(action, store, hosts, groups, args=None, part=None, **rows):
    groups = {"all": sorted(hosts), **groups}
    for host, row in hosts.items():
        look = {"info": row["info"], "error": row.get("error"), "inputs": row["inputs"], "problems": [], "local": False}
        store.put("look", host, {**look, **rows.get(host.replace("-", "_"), {})})
    made = action(plan_action.ActionModule, args)
    variables = {"groups": groups, "ansible_play_hosts_all": part or sorted(hosts), "inventory_dir": "/inv"}
    return made.run(task_vars=variables), made


def lookup(plugin, *terms, host="cp-1", **options):
    """What a lookup returns."""
    made = plugin.LookupModule()
    made.set_options = lambda **_named: None
    made.get_option = options.get
    return made.run(list(terms), {"inventory_hostname": host})


def test_a_new_cluster(action, store):
    result, made = run(action, store, *inventory(3, 1))
    assert result == {"changed": False, "refusals": []}
    assert lookup(cluster_hosts, "start") == ["cp-1", "cp-2", "cp-3", "w-1"]
    assert lookup(cluster_hosts, "change", "roll") == ["!all"]
    (node,) = lookup(planned, "node", host="w-1")
    assert node["name"] == "w-1" and node["role"] == "worker" and node["apply"]["start"]["state"] == "pull"
    (cluster,) = lookup(planned, "cluster")
    assert cluster["leader"] == "cp-1" and lookup(planned, "batches") == [[4]]
    (tasks,) = lookup(planned, "tasks", host="w-1")
    assert [row["tasks"] for row in tasks] == ["programs", "settings", "parts", "start", "join"]
    (kubeconfig,) = lookup(planned, "kubeconfig")
    assert kubeconfig["path"] == "/inv/kubeconfig" and kubeconfig["fetch"]


def test_a_file_in_place_of_the_kubeconfig_is_refused_before_anything_is_changed(action, store, tmp_path):
    path = tmp_path / "config"
    inputs = {"kube_kubeconfig": {"path": str(path)}}
    path.write_bytes(b"\xff another program's")
    result, made = run(action, store, *inventory(1, 0, inputs))
    assert result["failed"] and "config exists and is not" in made._display.text()
    for ours in ("", "# Made by kubewright.cluster.\ncurrent-context: kubernetes\n"):
        path.write_text(ours)
        assert run(action, store, *inventory(1, 0, inputs))[0] == {"changed": False, "refusals": []}


def test_secrets_are_in_no_part_that_templates_read(action, store):
    logins = {"configs": {"registry.example": {"username": "me", "password": "hunter2hunter2"}}, "mirrors": {}}
    manifests = [{"name": "login", "content": SECRET, "state": "present"}]
    run(action, store, *inventory(1, 0, {"kube_registries": logins}))
    assert "hunter2" not in json.dumps([lookup(planned, term) for term in ("node", "cluster", "verify", "kubeconfig")])
    assert store.get("secret", "cp-1")["files"]
    path = store._root + "/plan.json"
    run(action, store, *inventory(1, 0, {"kube_manifests": manifests}), args={"json": path})
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    assert "hunter2" not in text and json.loads(text)["manifests"][-1]["name"] == "login"


def test_refusals_are_printed_once_and_end_the_run(action, store):
    result, made = run(action, store, *inventory(1, 0, {"kube_verison": "1"}))
    assert result["failed"] and result["msg"] == "Nothing was changed. 1 problem, see above."
    assert [line for line, _colour in made._display.lines if "kube_verison" in line] == [made._display.lines[-1][0]]
    with pytest.raises(AnsibleError, match="kube_verison"):
        lookup(planned, "node")


def test_problems_are_counted_as_they_are_printed(action, store):
    """One fault of many hosts is one problem."""
    hosts, groups = inventory(1, 5, dns={"nameservers": ["10.100.0.53"]})
    result, made = run(action, store, hosts, groups)
    assert result["msg"] == "Nothing was changed. 1 problem, see above."
    assert "; 1 problem, 0 warnings." in made._display.text()
    assert "refused: cp-1, w-1 to w-5 (6 nodes): " in made._display.text()


def test_refusals_without_a_failure_unless_asked_for(action, store):
    hosts, groups = inventory(1, 0, {"kube_verison": "1"})
    assert not run(action, store, hosts, groups, {"refuse": False})[0].get("failed")
    assert run(action, store, hosts, groups, {"refuse": False, "fail": True})[0]["failed"]


def test_who_is_not_root_is_refused(action, store):
    hosts, groups = inventory(1, 1)
    hosts["w-1"]["info"]["user"] = {"uid": 1000, "name": "admin"}
    result, made = run(action, store, hosts, groups)
    assert result["failed"]
    assert "refused: w-1: Ansible connects as admin, which is not root." in made._display.text()


def test_files_are_relative_to_the_working_directory(action, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(action, store, *inventory(1, 0), args={"json": "plan.json", "html": "plan.html"})
    assert json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))["schema"] == 2
    assert (tmp_path / "plan.html").stat().st_mode & 0o777 == 0o600


def test_a_worker_that_limit_leaves_out_may_be_silent(action, store):
    hosts, groups = inventory(1, 2)
    hosts["w-2"].update(info=None, error="cannot be reached: no route")
    result, made = run(action, store, hosts, groups, part=["cp-1", "w-1"])
    assert not result.get("failed")
    assert "w-2: left out" in made._display.text()
    assert run(action, store, hosts, groups)[0]["failed"]


def test_inputs_that_cannot_be_read_are_refused_once(action, store):
    problem = {"problems": ["kube_version: nope"]}
    result, made = run(action, store, *inventory(1, 1), cp_1=problem, w_1=problem)
    assert result["failed"] and [line for line, _c in made._display.lines].count("refused: kube_version: nope") == 1


def test_lookups_without_a_plan(store):
    assert lookup(planned, "exists") == [False] and lookup(planned, "batches") == [[1]]
    with pytest.raises(AnsibleError, match="The cluster is not planned yet"):
        lookup(planned, "node")
    assert lookup(cluster_hosts, "start") == ["!all"]


def test_running_nodes_change_control_planes_first(action, store):
    stages = {"cp-1": "change", "cp-2": "change", "w-1": "roll", "w-2": "join", "w-3": "prepare", "w-4": "endpoint"}
    slices = {name: {"stages": [stage], "phase": plan_action.slices._phase([stage])} for name, stage in stages.items()}

    def batches(*part):
        return plan_action.slices.batches({"workers_at_once": "20%"}, slices, part)

    assert batches(*slices) == [1, 2, 1, 1, "20%"]
    assert batches("cp-1") == [1] and batches("w-1") == ["20%"] and batches("w-2", "w-3") == [2] and batches() == [1]


# -- findings that only the controller can make
# --------------------------------------------------------------------------


def found(action, store, hosts, groups, tmp_path, **more):
    """Return (refusals, warnings) of the plan that was written."""
    run(action, store, hosts, groups, args={"json": str(tmp_path / "plan.json")}, **more)
    plan = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    return described(plan["refusals"]), described(plan["warnings"])


def test_who_is_not_root_is_named(action, store, tmp_path):
    hosts, groups = inventory(1, 1)
    hosts["w-1"]["info"]["user"] = {"uid": 1000, "name": "admin"}
    assert found(action, store, hosts, groups, tmp_path)[0] == ["user.not_root node=w-1 value=admin"]


def test_inputs_that_cannot_be_read_are_named(action, store, tmp_path):
    problem = {"problems": ["kube_version: nope"]}
    refusals, _warnings = found(action, store, *inventory(1, 1), tmp_path, cp_1=problem, w_1=problem)
    assert refusals == ["inputs.unreadable"]


def test_a_manifest_that_cannot_be_read_is_named(action, store, tmp_path):
    inputs = {"kube_manifests": [{"name": "web", "src": "/no/web.yaml", "state": "present"}]}
    assert found(action, store, *inventory(1, 0, inputs), tmp_path)[0] == ["manifests.unreadable value=/no/web.yaml"]


def test_limits_that_leave_out_what_is_needed(action, store, tmp_path):
    hosts, groups = inventory(1, 2, {"kube_node_labels": {"a": "b"}})
    assert found(action, store, hosts, groups, tmp_path, part=["w-1"])[0] == ["limit.leader_left_out node=cp-1"]
    hosts["w-2"].update(info=None, error="cannot be reached: no route")
    assert found(action, store, hosts, groups, tmp_path, part=["cp-1", "w-1"])[1] == ["limit.left_out node=w-2"]


def test_files_on_a_server_that_a_limit_leaves_out():
    gone = {"path": "/var/lib/rancher/k3s/server/manifests/kubewright-web.yaml", "state": "absent"}
    nodes = {"cp-1": {"files": {"k3s": []}}, "cp-2": {"files": {"k3s": [gone]}}}
    plan = {"addons": {"wanted": {}, "kept": []}, "control_planes": ["cp-1", "cp-2"], "nodes": nodes}
    assert ids(plan_findings.kept(plan, ["cp-1"])) == ["limit.addons_kept"] and plan["addons"]["kept"] == [
        "kubewright-web"
    ]


def test_labels_that_a_limit_leaves_for_later(action, store, tmp_path):
    hosts, groups = inventory(1, 1)
    plan = planner.cluster_plan(hosts, groups)
    for host, row in hosts.items():
        row["info"] = applied(row["info"], plan["nodes"][host], plan)
        row["inputs"] = {"kube_node_labels": {"a": "b"}}
    assert found(action, store, hosts, groups, tmp_path, part=["w-1"])[1] == ["limit.labels_not_applied node=w-1"]


# -- what changes beside the nodes
# --------------------------------------------------------------------------


@pytest.fixture
def idle(tmp_path):
    """(hosts, groups) of a running cluster that is as its inventory asks for, with a kubeconfig on the controller."""
    inputs = {
        "kube_kubeconfig": {"path": str(tmp_path / "kubeconfig")},
        "kube_manifests": [{"name": "a", "content": A}],
    }
    hosts, groups = running(inputs)
    data = {name: base64.b64encode(name.encode()).decode() for name in ADMIN_DATA}
    text = kubeconfig.written(
        {ADMIN_DATA[0]: data[ADMIN_DATA[0]]},
        {name: data[name] for name in ADMIN_DATA[1:]},
        "https://10.0.0.11:6443",
        "kubernetes",
    )
    kubeconfig.write(str(tmp_path / "kubeconfig"), text, False)
    for row in hosts.values():
        row["info"]["cluster"]["admin_sha256"] = admin_digests("".join("%s: %s\n" % item for item in data.items()))
    return hosts, groups


def beside(action, store, hosts, groups):
    """(what the plan says is done beside the nodes, the text, whether the kubeconfig is known to be the same)."""
    _result, made = run(action, store, hosts, groups, {"show": "all"})
    text = "\n".join(line for line, _colour in made._display.lines)
    (cluster,), (wanted,) = lookup(planned, "cluster"), lookup(planned, "kubeconfig")
    return cluster["apply_objects"], wanted["same"], text


def test_nothing_is_done_beside_the_nodes(action, store, idle):
    applies, same, text = beside(action, store, *idle)
    assert (applies, same) == (False, True) and "nothing to do" in text


def test_a_manifest_and_the_kubeconfig_change(action, store, idle, tmp_path):
    hosts, groups = idle
    for row in hosts.values():
        row["inputs"] = {**row["inputs"], "kube_manifests": [{"name": "a", "content": A.replace('"1"', '"2"')}]}
    path = tmp_path / "kubeconfig"
    path.write_text(path.read_text(encoding="utf-8").replace("10.0.0.11", "10.0.0.9"), encoding="utf-8")
    applies, same, text = beside(action, store, hosts, groups)
    assert (applies, same) == (True, False) and "the cluster: apply manifest a (changed)" in text
    assert "server changes from https://10.0.0.9:6443 to https://10.0.0.11:6443" in " ".join(text.split())


def of_another(hosts, tmp_path, server):
    """Give each control plane its own credentials, and the controller those of cp-2 for this server."""
    for host, row in hosts.items():
        data = {name: base64.b64encode((name + host).encode()).decode() for name in ADMIN_DATA[1:]}
        data[ADMIN_DATA[0]] = base64.b64encode(b"ca").decode()
        row["info"]["cluster"]["admin_sha256"] = admin_digests("".join("%s: %s\n" % item for item in data.items()))
        row["inputs"]["kube_kubeconfig"] = {"path": str(tmp_path / "kubeconfig")}
        if host == "cp-2":
            authority = {ADMIN_DATA[0]: data.pop(ADMIN_DATA[0])}
            text = kubeconfig.written(authority, data, server, "kubernetes")
            kubeconfig.write(str(tmp_path / "kubeconfig"), text, False)


@pytest.mark.parametrize("server", ["https://10.0.0.12:6443", "https://10.0.0.99:7443"], ids=["local", "vip"])
@pytest.mark.parametrize("change", [{}, {"kubelet_config": {"maxPods": 51}}], ids=["idle", "rolling"])
def test_another_control_planes_kubeconfig_stays(action, store, tmp_path, server, change):
    """Each control plane has its own credentials, and which one leads differs from run to run."""
    vip = {"kube_api_endpoint": {"mode": "vip", "address": "10.0.0.99"}} if server.endswith("7443") else {}
    hosts, groups = running(vip)
    of_another(hosts, tmp_path, server)
    for row in hosts.values():
        row["inputs"].update(change)
    _applies, _same, text = beside(action, store, hosts, groups)
    (wanted,) = lookup(planned, "kubeconfig")
    assert "controller" not in text and wanted["fetch"] is False
    assert ("nothing to do" in text) is (not change)


def test_the_kubeconfig_of_a_control_plane_that_does_not_serve_or_is_anothers_is_replaced(action, store, tmp_path):
    hosts, groups = running({})
    of_another(hosts, tmp_path, "https://10.0.0.12:6443")
    hosts["cp-2"]["info"]["cluster"]["live"]["healthy"] = False
    text = " ".join(beside(action, store, hosts, groups)[2].split())
    assert "server changes from https://10.0.0.12:6443 to https://10.0.0.11:6443; credentials are renewed" in text
    assert lookup(planned, "kubeconfig")[0]["fetch"]


def test_a_control_plane_that_restarts_may_renew_its_certificates(action, store, idle):
    hosts, groups = idle
    for row in hosts.values():
        row["inputs"] = {**row["inputs"], "kubelet_config": {"maxPods": 51}}
    assert beside(action, store, hosts, groups)[:2] == (False, False)


def test_names_that_another_cluster_has_are_refused(action, store, idle, tmp_path, monkeypatch):
    hosts, groups = idle
    monkeypatch.setenv("HOME", str(tmp_path))
    other = "clusters: [{name: kubernetes, cluster: {certificate-authority-data: eA==}}]"
    kubeconfig.write(str(tmp_path / ".kube/config"), other, False)
    for row in hosts.values():
        row["inputs"]["kube_kubeconfig"] = {**row["inputs"]["kube_kubeconfig"], "merge": True}
    assert run(action, store, hosts, groups)[0]["failed"]


def leaders(action, store, change=lambda hosts: None, **inputs):
    """The hosts of the play that completes a running cluster, after a change of its facts."""
    hosts, groups = running({"kube_kubeconfig": {"fetch": False}, **inputs})
    change(hosts)
    result, made = run(action, store, hosts, groups)
    assert not result.get("failed"), made._display.text()
    return lookup(cluster_hosts, "leader")


def test_a_second_run_has_nothing_to_complete(action, store):
    assert leaders(action, store) == ["!all"]
    assert lookup(cluster_hosts, *(name for names in plan_action.slices.PHASES.values() for name in names)) == ["!all"]


SECRET_MANIFEST = {"name": "login", "content": SECRET, "state": "present"}


def of_the_api(**facts):
    return lambda hosts: [row["info"]["cluster"]["live"].update(facts) for row in hosts.values() if is_plane(row)]


def is_plane(row):
    return row["info"]["cluster"]["live"] is not None


@pytest.mark.parametrize(
    ("change", "inputs"),
    [
        (of_the_api(dns_places=["cp-1", "cp-1"]), {}),
        (of_the_api(dns_places=None), {}),
        (of_the_api(applied=None, applied_error="HTTP 500"), {}),
        (lambda hosts: hosts["w-1"]["inputs"].update(kube_node_labels={"a": "b"}), {}),
        (lambda hosts: hosts["w-1"]["info"]["services"]["containerd"].update(active="inactive"), {}),
        (lambda hosts: [row["inputs"].update(kube_manifests=[SECRET_MANIFEST]) for row in hosts.values()], {}),
        (of_the_api(addons=None), {"kube_distribution": "k3s"}),
        (lambda hosts: None, {"kube_kubeconfig": {"path": "/not/there"}}),
    ],
)
def test_the_leader_completes_what_differs_or_is_not_known(action, store, change, inputs):
    assert leaders(action, store, change, **inputs) == ["cp-1"]


def test_the_leader_runs_your_tasks_of_every_run(action, store, tmp_path):
    (tmp_path / "hook.yml").write_text("[{ansible.builtin.meta: noop}]")
    assert leaders(action, store, kube_hooks={"after_cluster": str(tmp_path / "hook.yml")}) == ["cp-1"]


def test_an_operation_has_its_own_plan_and_its_own_refusals(action, store, tmp_path):
    path, hosts = str(tmp_path / "plan.json"), inventory(3, 1, {"kube_pod_cidrs": ["not a network"]})
    result, made = run(action, store, *hosts, args={"operation": "backup", "json": path, "show": "all"})
    assert result["failed"] and "Nothing can be backed up" in made._display.text()
    operation = json.loads((tmp_path / "plan.json").read_text())["operation"]
    assert operation["name"] == "backup" and ids(operation["refusals"]) == ["backup.no_cluster"]
    assert lookup(planned, "operation") == [operation]


def test_a_cluster_that_runs_can_be_backed_up(action, store):
    hosts, groups = inventory(3, 0)
    plan = planner.cluster_plan(hosts, groups)
    hosts = {host: {**row, "info": applied(row["info"], plan["nodes"][host], plan)} for host, row in hosts.items()}
    for row in hosts.values():
        row["info"]["cluster"].update(etcd_data=True)
        row["info"]["cluster"]["live"].update(healthy=True, etcd_members=[{}, {}, {}])
    result, made = run(action, store, hosts, groups, args={"operation": "backup", "show": "changes"})
    assert result == {"changed": False, "refusals": []} and "/inv/backups" in made._display.text()
    (operation,) = lookup(planned, "operation")
    assert operation["source"] in hosts and operation["cluster"]["name"] == "kubernetes"


def test_one_node_releases_the_lock_of_the_run_and_a_reboot_keeps_it_longer(action, store, idle):
    hosts, groups = idle
    changed = {
        host: {**row, "inputs": {**row["inputs"], "kubelet_config": {"maxPods": 90}}} for host, row in hosts.items()
    }
    run(action, store, changed, groups)
    stages = store.get("plan", "stages")
    order = [host for stage in ("change", "roll") for host in stages.get(stage) or []]
    assert len(order) == len(hosts)
    nodes = {host: store.get("node", host) for host in hosts}
    assert [host for host in order if nodes[host]["releases"]] == order[-1:]
    assert {node["hold"] for node in nodes.values()} == {plan_action.slices.HOLD_SECONDS}


@pytest.mark.parametrize(
    ("gone", "changes", "refused"), [(False, True, True), (True, True, False), (False, False, False)]
)
def test_running_nodes_are_not_changed_while_another_run_changes_the_cluster(
    action, store, idle, tmp_path, monkeypatch, gone, changes, refused
):
    """Not even their API endpoints: the other run may have taken a control plane out of them."""
    hosts, groups = idle
    hosts["cp-2"]["info"]["cluster"]["live"]["lock"] = {
        "run": "build/2-2",
        "text": "bob@build is changing this cluster (site).",
    }
    monkeypatch.setattr(plan_action.plan_findings.lock_holder, "is_gone", lambda run: gone and run == "build/2-2")
    if changes:
        hosts["w-1"]["info"]["endpoint_drained"] = ["cp-2"]
    refusals, _warnings = found(action, store, hosts, groups, tmp_path)
    assert refusals == (["cluster.locked"] if refused else [])
