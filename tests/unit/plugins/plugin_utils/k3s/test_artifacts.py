# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a node gets K3s, by each method."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.detect.look import EMPTY
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import applied, inventory

K3S = {"kube_distribution": "k3s", "kube_version": "1.36.3"}
DIGEST = "a" * 64
SCRIPT = {"k3s_install_method": "script", "k3s_install_script": {"checksum": DIGEST}}


def plan_of(inputs, info=None, size=(1, 1)):
    hosts, groups = inventory(*size, {**K3S, **inputs})
    for row in hosts.values():
        row["info"].update(info or {})
    return planner.cluster_plan(hosts, groups)


def components(plan, host="cp-1"):
    return [item["component"] for item in plan["nodes"][host]["programs"]]


def test_the_default_is_the_binary_and_our_own_service():
    plan = plan_of({})
    assert components(plan) == ["k3s"] and plan["nodes"]["cp-1"]["programs"][0]["links"] == ["kubectl", "crictl", "ctr"]
    assert "/etc/systemd/system/k3s.service" in {entry["path"] for entry in plan["nodes"]["cp-1"]["files"]["k3s"]}


def test_the_script_makes_the_service():
    plan = plan_of(SCRIPT)
    assert plan["refusals"] == [] and components(plan) == ["k3s", "k3s-script"]
    item = plan["nodes"]["w-1"]["programs"][1]
    assert item["url"] == "https://raw.githubusercontent.com/k3s-io/k3s/v1.36.3%2Bk3s1/install.sh"
    assert (item["checksum"], item["mode"]) == ("sha256:" + DIGEST, "0700")
    node = plan["nodes"]["w-1"]
    assert node["script"]["makes"] == [
        "/etc/systemd/system/k3s-agent.service",
        "/usr/local/bin/k3s-killall.sh",
        "/usr/local/bin/k3s-agent-uninstall.sh",
    ]
    assert not [entry for entry in node["files"]["k3s"] if entry["path"].startswith("/etc/systemd")]
    assert "script" in node["steps"]


def made_by_script(inputs=None):
    """(hosts, groups) of a cluster that the script made."""
    hosts, groups = inventory(1, 1, {**K3S, **SCRIPT, **(inputs or {})})
    plan = planner.cluster_plan(hosts, groups)
    for host, row in hosts.items():
        row["info"] = applied(row["info"], plan["nodes"][host], plan)
        for path in plan["nodes"][host]["script"]["makes"]:
            row["info"]["files"][path] = {"sha256": "b" * 64, "mode": "0755", "size": 1, "mtime": 0, "owned": True}
    return hosts, groups


def test_files_of_the_script_do_not_change():
    plan = planner.cluster_plan(*made_by_script())
    assert {host: node["steps"] for host, node in plan["nodes"].items()} == {"cp-1": {}, "w-1": {}}


def test_an_interrupted_script_runs_again():
    hosts, groups = made_by_script()
    hosts["w-1"]["info"]["files"]["/usr/local/bin/k3s-agent-uninstall.sh"] = None
    plan = planner.cluster_plan(hosts, groups)
    assert plan["nodes"]["w-1"]["steps"]["script"] == ["/usr/local/bin/k3s-agent-uninstall.sh is missing"]
    assert plan["nodes"]["w-1"]["services"] == {"k3s-agent": "restarted"} and plan["nodes"]["cp-1"]["steps"] == {}


@pytest.mark.parametrize(
    ("inputs", "wanted"),
    [
        ({"k3s_install_method": "script"}, ["k3s_install_script.no_checksum"]),
        ({"k3s_install_script": {"checksum": DIGEST}}, ["k3s_install_script.unused value=binary limit=script"]),
        ({"k3s_binary": "/usr/bin/k3s"}, ["k3s_binary.unused value=/usr/bin/k3s limit=/usr/local/bin/k3s"]),
        (
            {"k3s_install_method": "existing"},
            ["k3s_binary.missing node=%s limit=/usr/local/bin/k3s" % host for host in ("cp-1", "w-1")],
        ),
    ],
)
def test_what_cannot_be_installed_is_refused(inputs, wanted):
    assert described(plan_of(inputs)["refusals"]) == wanted


def existing(version, path="/usr/bin/k3s"):
    """A machine's facts, by the name that the look gives them."""
    assert "installed" in EMPTY
    return {"installed": {"k3s": {"path": path, "version": version}}}


def test_an_existing_binary_is_used():
    inputs = {"k3s_install_method": "existing", "k3s_binary": "/usr/bin/k3s", "kube_version": ""}
    plan = plan_of(inputs, existing("v1.36.3+k3s2"))
    assert plan["refusals"] == [] and (plan["version"], plan["release"]) == ("1.36.3", "v1.36.3+k3s2")
    assert plan["nodes"]["cp-1"]["programs"] == [] and "programs" not in plan["nodes"]["cp-1"]["steps"]
    files = plan["nodes"]["cp-1"]["files"]["k3s"]
    units = [entry["content"] for entry in files if entry["path"].endswith("/k3s.service")]
    assert "ExecStart=/usr/bin/k3s server\n" in units[0]


@pytest.mark.parametrize(
    ("binary", "version", "wanted"),
    [
        ("/usr/bin/k3s", "v1.35.4+k3s1", "k3s_binary.other_version node=cp-1 value=v1.35.4+k3s1 limit=v1.36.3+k3s1"),
        ("/usr/bin/k3s", None, "k3s_binary.unknown_version node=cp-1 limit=v1.36.3+k3s1"),
        (
            "/usr/local/bin/k3s",
            "v1.36.3+k3s1",
            "k3s_binary.missing node=cp-1 value=/usr/bin/k3s limit=/usr/local/bin/k3s",
        ),
    ],
)
def test_an_existing_binary_of_another_version_or_path_is_refused(binary, version, wanted):
    plan = plan_of({"k3s_install_method": "existing", "k3s_binary": binary}, existing(version), (1, 0))
    assert described(plan["refusals"]) == [wanted]


def test_without_a_network_the_images_come_as_an_archive():
    inputs = {"kube_needs": ["air_gap"], "kube_artifacts": {"source": "http://mirror"}, "kube_data_dir": "/srv/data"}
    plan = plan_of(inputs)
    assert plan["refusals"] == [] and components(plan, "w-1") == ["k3s", "k3s-images"]
    item = plan["nodes"]["w-1"]["programs"][1]
    assert item["dest"] == "/srv/data/rancher/k3s/agent/images/k3s-airgap-images-amd64.tar.zst"
    assert item["checksum_url"].endswith("/sha256sum-amd64.txt") and item["mode"] == "0644"


def test_packages_that_are_missing_without_a_network_are_named():
    inputs = {**K3S, "kube_needs": ["air_gap"], "kube_artifacts": {"source": "https://mirror"}}
    hosts, groups = inventory(1, 0, {**inputs, "kube_api_endpoint": {"address": "10.0.0.100"}})
    hosts["cp-1"]["info"]["commands"].update(haproxy=None, conntrack=None, iptables=None)
    (warning,) = planner.cluster_plan(hosts, groups)["warnings"]
    # K3s brings conntrack and iptables itself.
    assert warning["value"] == "haproxy, keepalived"


def test_archive_or_pull_as_requested():
    assert components(plan_of({"k3s_images": "archive"})) == ["k3s", "k3s-images"]
    inputs = {"kube_needs": ["air_gap"], "kube_artifacts": {"source": "http://mirror"}}
    refusals = plan_of({**inputs, "k3s_images": "pull"})["refusals"]
    assert any("docker.io" in row["text"] for row in refusals)


def test_a_node_without_a_default_route_is_warned_of():
    hosts, groups = inventory(1, 0, K3S)
    hosts["cp-1"]["info"]["network"].update(default_ipv4=None, default_ipv6=None)
    assert described(planner.cluster_plan(hosts, groups)["warnings"]) == ["network.no_default_route node=cp-1"]


def openrc(inputs=None, **size):
    hosts, groups = inventory(size.get("servers", 1), 1, {**K3S, **(inputs or {})})
    for row in hosts.values():
        row["info"]["init"] = "openrc"
    return hosts, groups


def test_on_openrc_the_service_is_a_script_that_is_supervised():
    plan = planner.cluster_plan(*openrc())
    assert plan["refusals"] == []
    files = {entry["path"]: entry for entry in plan["nodes"]["w-1"]["files"]["k3s"]}
    service = files["/etc/init.d/k3s-agent"]
    assert service["mode"] == "0755" and "supervise-daemon" in service["content"]
    assert "/etc/logrotate.d/k3s-agent" in files and not [path for path in files if path.startswith("/etc/systemd")]


def test_on_openrc_a_second_run_does_nothing_and_a_change_restarts():
    hosts, groups = openrc()
    plan = planner.cluster_plan(hosts, groups)
    for host, row in hosts.items():
        row["info"] = applied(row["info"], plan["nodes"][host], plan)
    assert all(node["steps"] == {} for node in planner.cluster_plan(hosts, groups)["nodes"].values())
    hosts["w-1"]["inputs"]["kubelet_config"] = {"maxPods": 50}
    assert planner.cluster_plan(hosts, groups)["nodes"]["w-1"]["services"] == {"k3s-agent": "restarted"}


def test_on_openrc_upstreams_script_makes_the_service():
    plan = planner.cluster_plan(*openrc(SCRIPT))
    assert plan["nodes"]["cp-1"]["script"]["makes"][0] == "/etc/init.d/k3s"
    assert plan["nodes"]["cp-1"]["script"]["perhaps"][0] == "/etc/rancher/k3s/k3s.env"


def test_what_needs_systemd_is_refused_on_openrc():
    inputs = {"kube_api_endpoint": {"address": "10.0.0.100"}, "kube_journald": "volatile"}
    found = planner.cluster_plan(*openrc(inputs, servers=3))["refusals"]
    wanted = ["journald.needs_systemd node=w-1 value=openrc limit=systemd"]
    for host in ("cp-1", "cp-2", "cp-3"):
        wanted.append("endpoint.needs_systemd node=%s value=openrc limit=systemd" % host)
        wanted.append("journald.needs_systemd node=%s value=openrc limit=systemd" % host)
    assert sorted(described(found)) == sorted(wanted)
