# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where K3s stores: addresses of databases, TLS, and what becomes of a datastore that is there."""

from __future__ import annotations

import hashlib

import pytest
import yaml
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema as inputs
from ansible_collections.kubewright.cluster.plugins.plugin_utils.k3s import (
    datastore as k3s_datastore,
    node_files,
)
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import plan_text as report
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import applied, inventory, texts

ADDRESSES = [
    ("postgres://k3s:pw@db/k3s", "PostgreSQL", ["db:5432"], "k3s"),
    ("postgresql://k3s:p%40w@db.example:6432/", "PostgreSQL", ["db.example:6432"], "kubernetes"),
    ("postgres://k3s@a:5433,b/k3s?sslmode=verify-full", "PostgreSQL", ["a:5433", "b:5432"], "k3s"),
    ("postgres://k3s:pw@[2001:db8::7]:5432/k3s", "PostgreSQL", ["[2001:db8::7]:5432"], "k3s"),
    ("postgres:///k3s?host=/run/postgresql", "PostgreSQL", [], "k3s"),
    ("mysql://k3s:p@/:w@tcp(db:3306)/k3s", "MySQL", ["db:3306"], "k3s"),
    ("mysql://k3s:pw@tcp(10.0.0.9)/", "MySQL", ["10.0.0.9:3306"], "kubernetes"),
    ("mysql://root@unix(/run/mysqld/mysqld.sock)/k3s", "MySQL", [], "k3s"),
    ("postgres://", "PostgreSQL", ["localhost:5432"], "kubernetes"),
    ("mysql://", "MySQL", [], "kubernetes"),
    ("https://a:2379,https://[fd00::3]:2379/", "etcd", ["a:2379", "[fd00::3]:2379"], ""),
]
WRONG = [
    ("k3s:hunter2@db/k3s", "it begins with no scheme"),
    ("hunter2://db", "hunter2:// is none"),
    ("sqlite:///x", "sqlite:// is none that K3s's documentation names"),
    ("postgres://k3s:hunter2@/k3s", "there is no host"),
    ("postgres://k3s:hunter2/x@db/k3s", "must be written as %2F"),
    ("postgres://k3s:hunter2#@db/k3s", "must be written as %2F"),
    ("postgres://k3s:hunter2@db:99999/k3s", "there is no host with a port"),
    ("postgres://k3s:hunter2@db/k3s?sslmode=full", "sslmode is none of disable, allow"),
    ("mysql://k3s:hunter2@db:3306/k3s", "the host must stand in tcp(...)"),
    ("mysql://k3s:hunter2@tcp(db:3306)", "a / after it"),
    ("mysql://k3s:hunter2@tcp(db:3306)/k3s?tls=skip-verify", "set k3s_datastore_tls"),
    ("https://a:2379,b:2379", "no list of URLs"),
    ("https://root:hunter2@a:2379", "no list of URLs"),
    ("https://a", "there is no host with a port"),
]
PEM = {"ca": "-----BEGIN CERTIFICATE-----\nCA\n", "certificate": "-----BEGIN CERTIFICATE-----\nC\n", "key": "-----BEGIN EC PRIVATE KEY-----\nK\n"}
DATABASE = {"kube_needs": ["external_database"], "k3s_datastore_endpoint": "postgres://k3s:hunter2@db:5432/k3s"}


@pytest.mark.parametrize(("address", "kind", "places", "name"), ADDRESSES)
def test_an_address(address, kind, places, name):
    assert k3s_datastore.parse(address) == {"kind": kind, "places": places, "name": name}
    assert k3s_datastore.places(address) == places
    assert "pw" not in k3s_datastore.shown(address)


@pytest.mark.parametrize(("address", "message"), WRONG)
def test_a_wrong_address_is_refused_without_its_password(address, message):
    hosts, groups = inventory(1, 0, {"kube_distribution": "k3s", **DATABASE, "k3s_datastore_endpoint": address})
    (refusal,) = texts(planner.cluster_plan(hosts, groups)["refusals"])
    assert message in refusal and "hunter2" not in refusal.replace("hunter2:// is none", "")
    assert k3s_datastore.places(address) == [] and k3s_datastore.shown(address) == ""


INPUTS = [
    ({"k3s_datastore_tls": PEM}, "k3s_datastore_tls is for an external database"),
    ({**DATABASE, "k3s_datastore_tls": {"ca": "/etc/ca.crt"}}, "k3s_datastore_tls.ca holds no PEM block CERTIFICATE"),
    ({**DATABASE, "k3s_datastore_tls": {"key": PEM["key"]}}, "has one of certificate and key"),
    ({**DATABASE, "k3s_datastore_tls": {**PEM, "key": PEM["ca"]}}, "k3s_datastore_tls.key holds no PEM block PRIVATE KEY"),
    (
        {**DATABASE, "k3s_datastore_tls": PEM, "k3s_datastore_endpoint": "postgres://k3s:hunter2@db/k3s?sslmode=disable"},
        "switches TLS off",
    ),
    ({**DATABASE, "k3s_datastore": "etcd"}, "a cluster has one datastore"),
    ({"k3s_datastore": "sqlite"}, "k3s_datastore sqlite is for one server, the inventory has 3"),
    ({"k3s_datastore": "raft"}, "k3s_datastore: expected one of auto, sqlite, etcd"),
]


@pytest.mark.parametrize(("given", "message"), INPUTS)
def test_inputs(given, message):
    found = texts(planner.cluster_plan(*inventory(3, 0, {"kube_distribution": "k3s", **given}))["refusals"])
    assert any(message in text for text in found) and "hunter2" not in repr(found), found


def test_servers_share_one_database():
    hosts, groups = inventory(2, 0, {"kube_distribution": "k3s", **DATABASE})
    hosts["cp-2"]["inputs"]["k3s_datastore_endpoint"] = "postgres://k3s:hunter3@elsewhere/k3s"
    (refusal,) = texts(planner.cluster_plan(hosts, groups)["refusals"])
    assert "is another one on cp-1 and cp-2" in refusal and "hunter" not in refusal


def plan_of(hosts, groups):
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [], texts(plan["refusals"])
    return plan


def made(hosts, groups):
    """The hosts as they are once their plan was carried out."""
    plan = plan_of(hosts, groups)
    return {host: {**row, "info": applied(row["info"], plan["nodes"][host], plan)} for host, row in hosts.items()}


def config(plan, host):
    texts = {entry["path"]: entry["content"] for entry in plan["nodes"][host]["files"]["k3s"]}
    return yaml.safe_load(texts["/etc/rancher/k3s/config.yaml"])


def test_two_servers_with_a_database_are_a_cluster():
    needs = ["external_database", "high_availability"]
    hosts, groups = inventory(2, 1, {"kube_distribution": "k3s", **DATABASE, "kube_needs": needs, "k3s_datastore_tls": PEM})
    plan = plan_of(hosts, groups)
    assert plan["database"] == "PostgreSQL at db:5432, database k3s" and "hunter2" not in repr(plan) and PEM["key"] not in repr(plan)
    assert [plan["nodes"][host]["action"] for host in ("cp-1", "cp-2", "w-1")] == ["init", "join", "join"]
    for host in ("cp-1", "cp-2"):
        made = config(plan, host)
        assert not {"server", "cluster-init"} & set(made) and made["datastore-keyfile"] == "/etc/rancher/k3s/datastore/client.key"
        assert len(plan["nodes"][host]["steps"]["credentials"]) == 4
    assert "credentials" not in plan["nodes"]["w-1"]["steps"] and "datastore-cafile" not in config(plan, "w-1")


def test_a_database_that_is_not_reached_is_refused_before_the_first_start_alone():
    hosts, groups = inventory(2, 0, {"kube_distribution": "k3s", **DATABASE})
    hosts["cp-2"]["info"]["reach"] = {"db:5432": "Connection refused"}
    (refusal,) = texts(planner.cluster_plan(hosts, groups)["refusals"])
    assert refusal.startswith("cp-2: does not reach PostgreSQL at db:5432 (Connection refused); start it")
    hosts["cp-2"]["info"]["reach"] = {"db:5432": None}
    hosts = made(hosts, groups)
    hosts["cp-2"]["info"]["reach"] = {"db:5432": "Connection refused"}
    assert any("does not reach PostgreSQL" in text for text in texts(plan_of(hosts, groups)["warnings"]))


def test_of_an_etcd_one_member_may_be_down():
    node = {"info": {"reach": {"a:2379": None, "b:2379": "timed out"}}, "inputs": {"k3s_datastore_endpoint": "https://a:2379,https://b:2379"}}
    assert k3s_datastore.reach("cp-1", node, False) == (
        [],
        ["cp-1: does not reach etcd at b:2379 (timed out); start it, let this server through to it, or correct k3s_datastore_endpoint"],
    )


def test_an_address_that_was_written_and_not_yet_read_restarts_k3s():
    hosts, groups = inventory(1, 0, {"kube_distribution": "k3s", **DATABASE})
    plan = plan_of(hosts, groups)
    hosts = made(hosts, groups)
    files = node_files.secret_files({"role": "control_plane", "inputs": inputs.validate(hosts["cp-1"]["inputs"])[0]}, plan)
    for entry in files:
        digest = hashlib.sha256(entry["content"].encode()).hexdigest()
        hosts["cp-1"]["info"]["files"][entry["path"]] = {"sha256": digest, "mode": "0600", "mtime": 100.0, "owned": True}
    assert plan_of(hosts, groups)["nodes"]["cp-1"]["steps"] == {}
    hosts["cp-1"]["info"]["files"][files[0]["path"]]["mtime"] = 300.0
    node = plan_of(hosts, groups)["nodes"]["cp-1"]
    assert node["stages"][0] == "change" and node["services"] == {"k3s": "restarted"}
    assert node["steps"]["credentials"] == [files[0]["path"] + " changed after it started"]


def test_a_database_that_was_filled_before_may_know_every_node():
    hosts, groups = inventory(2, 1, {"kube_distribution": "k3s", **DATABASE})
    nodes = plan_of(hosts, groups)["nodes"]
    assert nodes["cp-2"]["rejoins"] and nodes["w-1"]["rejoins"]
    assert not any(node["rejoins"] for node in plan_of(made(hosts, groups), groups)["nodes"].values())


def test_servers_that_were_all_rebuilt_open_the_database_with_its_token():
    hosts, groups = inventory(2, 1, {"kube_distribution": "k3s", **DATABASE})
    hosts["w-1"]["info"] = made(hosts, groups)["w-1"]["info"]
    (refusal,) = texts(planner.cluster_plan(hosts, groups)["refusals"])
    assert refusal.startswith("w-1: belongs to a cluster of which no server is left; if the database holds it, set k3s_token")
    for row in hosts.values():
        row["inputs"]["k3s_token"] = "hunter2"
    plan = plan_of(hosts, groups)
    assert [plan["nodes"][host]["action"] for host in ("cp-1", "cp-2", "w-1")] == ["init", "join", "join"] and "hunter2" not in repr(plan)
    assert not plan["nodes"]["w-1"]["rejoins"]


def test_what_a_dropped_database_leaves_is_taken_away():
    hosts, groups = inventory(1, 0, {"kube_distribution": "k3s"})
    paths = [k3s_datastore.TLS["ca"][1], "/etc/rancher/k3s/config.yaml.d/50-kubewright-secrets.yaml"]
    for path in paths:
        hosts["cp-1"]["info"]["files"][path] = {"sha256": "0", "mode": "0600", "mtime": 1.0, "owned": True}
    node = plan_of(hosts, groups)["nodes"]["cp-1"]
    assert sorted(node["steps"]["credentials"]) == [path + " is no longer wanted" for path in sorted(paths)]
    inputs = {"kube_registries": {}, "kube_http_proxy": {}, "k3s_datastore_endpoint": "", "k3s_datastore_tls": {}, "k3s_embedded_registry": False}
    files = node_files.secret_files({**node, "inputs": inputs}, {"no_proxy": []})
    assert {entry["path"]: entry["state"] for entry in files} == dict.fromkeys(paths, "absent")


def grown(consent, datastore="sqlite"):
    """(hosts, groups) of a cluster of one server with SQLite, to whose inventory two servers came."""
    given = {"kube_distribution": "k3s", "k3s_convert_datastore": consent}
    hosts, groups = inventory(1, 1, given)
    hosts = made(hosts, groups)
    hosts["cp-1"]["info"]["cluster"]["datastore"] = datastore
    more, groups = inventory(3, 1, given)
    more["cp-1"] = hosts["cp-1"]
    more["w-1"]["info"] = hosts["w-1"]["info"]
    return more, groups


def test_a_cluster_that_grows_is_not_converted_without_consent():
    (refusal,) = texts(planner.cluster_plan(*grown(False))["refusals"])
    assert refusal.startswith("cp-1 stores in SQLite, and the inventory needs embedded etcd; set k3s_convert_datastore: true")


def test_a_cluster_that_grows_is_converted_before_others_join():
    plan = plan_of(*grown(True))
    assert {host: (node["action"], node["stages"]) for host, node in plan["nodes"].items() if host != "w-1"} == {
        "cp-1": ("convert", ["prepare", "start", "leader"]),
        "cp-2": ("join", ["prepare", "start", "join"]),
        "cp-3": ("join", ["prepare", "start", "join"]),
    }
    assert config(plan, "cp-1")["cluster-init"] is True
    lines = report.text(plan)
    assert "SQLite becomes embedded etcd, with a backup in /var/lib/rancher/k3s/backups" in " ".join(map(str.strip, lines))
    assert "  cp-1: restart with embedded etcd" in lines


def test_a_conversion_that_was_killed_before_the_restart_goes_on():
    hosts, groups = grown(True)
    hosts["cp-1"]["info"]["cluster"].update(cluster_init=True)  # its configuration is written already
    plan = plan_of(hosts, groups)
    assert plan["nodes"]["cp-1"]["action"] == "convert" and config(plan, "cp-1")["cluster-init"] is True
    hosts["cp-1"]["info"]["cluster"].update(live=None)  # K3s is at it, and its API is away
    plan = plan_of(hosts, groups)
    assert plan["nodes"]["cp-1"]["action"] == "convert" and plan["nodes"]["cp-1"]["stages"][:2] == ["prepare", "start"]
    assert config(plan, "cp-1")["cluster-init"] is True


def test_a_converted_server_stays_as_it_is():
    hosts, groups = grown(True, "etcd")
    hosts["cp-1"]["info"]["cluster"].update(cluster_init=True)
    plan = plan_of(hosts, groups)
    assert plan["nodes"]["cp-1"]["action"] == ""
    assert config(plan, "cp-1")["cluster-init"] is True and plan["nodes"]["cp-2"]["action"] == "join"


def test_a_conversion_that_was_torn():
    hosts, groups = grown(True, "torn")
    (refusal,) = texts(planner.cluster_plan(hosts, groups)["refusals"])
    assert "its conversion from SQLite was broken off" in refusal and "move server/db/etcd out of its data directory" in refusal
    hosts["cp-1"]["info"]["cluster"].update(live=None)
    assert plan_of(hosts, groups)["nodes"]["cp-1"]["action"] == "convert"  # SQLite has all of it still


def test_one_server_with_etcd():
    hosts, groups = inventory(1, 0, {"kube_distribution": "k3s", "k3s_datastore": "etcd"})
    plan = plan_of(hosts, groups)
    assert plan["datastore"] == "embedded etcd" and config(plan, "cp-1")["cluster-init"] is True
    hosts = made(hosts, groups)
    hosts["cp-1"]["inputs"]["k3s_datastore"] = "auto"
    plan = plan_of(hosts, groups)
    assert plan["datastore"] == "embedded etcd" and plan["nodes"]["cp-1"]["steps"] == {}


@pytest.mark.parametrize(
    ("given", "stores", "message"),
    [
        ({"k3s_datastore": "sqlite"}, "etcd", "(cp-1 in embedded etcd; wanted: SQLite); a running cluster is not moved"),
        (DATABASE, "sqlite", "(cp-1 in SQLite; wanted: external PostgreSQL)"),
        (DATABASE, "etcd", "(cp-1 in embedded etcd; wanted: external PostgreSQL)"),
        ({}, "external mysql", "(cp-1 in external MySQL; wanted: SQLite)"),
        (DATABASE, "external mysql", "(cp-1 in external MySQL; wanted: external PostgreSQL)"),
        (DATABASE, "external postgresql", None),
    ],
)
def test_no_other_change_of_a_datastore(given, stores, message):
    hosts, groups = inventory(1, 0, {"kube_distribution": "k3s"})
    hosts = made(hosts, groups)
    hosts["cp-1"]["inputs"].update(given)
    hosts["cp-1"]["info"]["cluster"]["datastore"] = stores
    found = texts(planner.cluster_plan(hosts, groups)["refusals"])
    assert (message is None and found == []) or (len(found) == 1 and message in found[0]), found
