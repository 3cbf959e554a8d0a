# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s's datastore: addresses of databases, TLS, and changes of an existing datastore."""

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
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described
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
    "k3s:hunter2@db/k3s",
    "hunter2://db",
    "sqlite:///x",
    "postgres://k3s:hunter2@/k3s",
    "postgres://k3s:hunter2/x@db/k3s",
    "postgres://k3s:hunter2#@db/k3s",
    "postgres://k3s:hunter2@[db/k3s",
    "postgres://k3s:hunter2@db:99999/k3s",
    "postgres://k3s:hunter2@db/k3s?sslmode=full",
    "mysql://k3s:hunter2@db:3306/k3s",
    "mysql://k3s:hunter2@tcp(db:3306)",
    "mysql://k3s:hunter2@tcp(db:3306)/k3s?tls=skip-verify",
    "https://a:2379,b:2379",
    "https://root:hunter2@a:2379",
    "https://a",
]
PEM = {
    "ca": "-----BEGIN CERTIFICATE-----\nCA\n",
    "certificate": "-----BEGIN CERTIFICATE-----\nC\n",
    "key": "-----BEGIN EC PRIVATE KEY-----\nK\n",
}
DATABASE = {"kube_needs": ["external_database"], "k3s_datastore_endpoint": "postgres://k3s:hunter2@db:5432/k3s"}


@pytest.mark.parametrize(("address", "kind", "places", "name"), ADDRESSES)
def test_an_address(address, kind, places, name):
    assert k3s_datastore.parse(address) == {"kind": kind, "places": places, "name": name}
    assert k3s_datastore.places(address) == places
    assert "pw" not in k3s_datastore.shown(address)


@pytest.mark.parametrize("address", WRONG)
def test_a_wrong_address_is_refused_without_its_password(address):
    hosts, groups = inventory(1, 0, {"kube_distribution": "k3s", **DATABASE, "k3s_datastore_endpoint": address})
    refusals = planner.cluster_plan(hosts, groups)["refusals"]
    assert described(refusals) == ["datastore.endpoint_format"] and "hunter2" not in repr(refusals)
    assert k3s_datastore.places(address) == [] and k3s_datastore.shown(address) == ""


TLS_OFF = {**DATABASE, "k3s_datastore_endpoint": "postgres://k3s:hunter2@db/k3s?sslmode=disable"}
INPUTS = [
    ({"k3s_datastore_tls": PEM}, "datastore_tls.no_endpoint"),
    ({**DATABASE, "k3s_datastore_tls": {"ca": "/etc/ca.crt"}}, "datastore_tls.not_pem value=ca limit=CERTIFICATE"),
    ({**DATABASE, "k3s_datastore_tls": {"key": PEM["key"]}}, "datastore_tls.incomplete value=certificate"),
    (
        {**DATABASE, "k3s_datastore_tls": {**PEM, "key": PEM["ca"]}},
        "datastore_tls.not_pem value=key limit=PRIVATE KEY",
    ),
    ({**TLS_OFF, "k3s_datastore_tls": PEM}, "datastore_tls.disabled value=sslmode=disable"),
    ({**DATABASE, "k3s_datastore": "etcd"}, "datastore.several value=etcd"),
    ({"k3s_datastore": "sqlite"}, "datastore.sqlite_on_several value=3 limit=1"),
    ({"kube_needs": ["external_database"]}, "datastore.no_endpoint"),
    ({"k3s_datastore_endpoint": DATABASE["k3s_datastore_endpoint"]}, "datastore.unused_endpoint"),
]


@pytest.mark.parametrize(("given", "wanted"), INPUTS)
def test_inputs(given, wanted):
    found = planner.cluster_plan(*inventory(3, 0, {"kube_distribution": "k3s", **given}))["refusals"]
    assert described(found) == [wanted] and "hunter2" not in repr(found)


def test_servers_share_one_database():
    hosts, groups = inventory(2, 0, {"kube_distribution": "k3s", **DATABASE})
    hosts["cp-2"]["inputs"]["k3s_datastore_endpoint"] = "postgres://k3s:hunter3@elsewhere/k3s"
    found = planner.cluster_plan(hosts, groups)["refusals"]
    assert described(found) == ["datastore.differs_between_servers value=['cp-1', 'cp-2']"]
    assert "hunter" not in repr(found)


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
    hosts, groups = inventory(
        2, 1, {"kube_distribution": "k3s", **DATABASE, "kube_needs": needs, "k3s_datastore_tls": PEM}
    )
    plan = plan_of(hosts, groups)
    assert (
        plan["database"] == "PostgreSQL at db:5432, database k3s"
        and "hunter2" not in repr(plan)
        and PEM["key"] not in repr(plan)
    )
    assert [plan["nodes"][host]["action"] for host in ("cp-1", "cp-2", "w-1")] == ["init", "join", "join"]
    for host in ("cp-1", "cp-2"):
        made = config(plan, host)
        assert (
            not {"server", "cluster-init"} & set(made)
            and made["datastore-keyfile"] == "/etc/rancher/k3s/datastore/client.key"
        )
        assert len(plan["nodes"][host]["steps"]["credentials"]) == 4
    assert "credentials" not in plan["nodes"]["w-1"]["steps"] and "datastore-cafile" not in config(plan, "w-1")


UNREACHABLE = "datastore.unreachable node=cp-2 value=['db:5432']"


def test_a_database_that_is_not_reached_is_refused_before_the_first_start_only():
    hosts, groups = inventory(2, 0, {"kube_distribution": "k3s", **DATABASE})
    hosts["cp-2"]["info"]["reach"] = {"db:5432": "Connection refused"}
    assert described(planner.cluster_plan(hosts, groups)["refusals"]) == [UNREACHABLE]
    hosts["cp-2"]["info"]["reach"] = {"db:5432": None}
    hosts = made(hosts, groups)
    hosts["cp-2"]["info"]["reach"] = {"db:5432": "Connection refused"}
    warnings = [row for row in plan_of(hosts, groups)["warnings"] if row["node"] == "cp-2"]
    assert UNREACHABLE in described(warnings)


def test_of_an_etcd_one_member_may_be_down():
    endpoint = "https://a:2379,https://b:2379"
    node = {
        "info": {"reach": {"a:2379": None, "b:2379": "timed out"}},
        "inputs": {"k3s_datastore_endpoint": endpoint},
    }
    refusals, warnings = k3s_datastore.reach("cp-1", node, False)
    assert refusals == [] and described(warnings) == ["datastore.unreachable node=cp-1 value=['b:2379']"]


def test_an_address_that_was_written_and_not_yet_read_restarts_k3s():
    hosts, groups = inventory(1, 0, {"kube_distribution": "k3s", **DATABASE})
    plan = plan_of(hosts, groups)
    hosts = made(hosts, groups)
    files = node_files.secret_files(
        {"role": "control_plane", "inputs": inputs.validate(hosts["cp-1"]["inputs"])[0]}, plan
    )
    for entry in files:
        digest = hashlib.sha256(entry["content"].encode()).hexdigest()
        hosts["cp-1"]["info"]["files"][entry["path"]] = {
            "sha256": digest,
            "mode": "0600",
            "mtime": 100.0,
            "owned": True,
        }
    assert plan_of(hosts, groups)["nodes"]["cp-1"]["steps"] == {}
    hosts["cp-1"]["info"]["files"][files[0]["path"]]["mtime"] = 300.0
    node = plan_of(hosts, groups)["nodes"]["cp-1"]
    assert node["stages"][0] == "change" and node["services"] == {"k3s": "restarted"}
    assert node["steps"]["credentials"] == [files[0]["path"] + " changed after it started"]


def test_a_used_database_may_know_every_node():
    hosts, groups = inventory(2, 1, {"kube_distribution": "k3s", **DATABASE})
    nodes = plan_of(hosts, groups)["nodes"]
    assert nodes["cp-2"]["rejoins"] and nodes["w-1"]["rejoins"]
    assert not any(node["rejoins"] for node in plan_of(made(hosts, groups), groups)["nodes"].values())


def test_servers_that_were_all_rebuilt_open_the_database_with_its_token():
    hosts, groups = inventory(2, 1, {"kube_distribution": "k3s", **DATABASE})
    hosts["w-1"]["info"] = made(hosts, groups)["w-1"]["info"]
    assert described(planner.cluster_plan(hosts, groups)["refusals"]) == ["member.no_server_left node=w-1"]
    for row in hosts.values():
        row["inputs"]["k3s_token"] = "hunter2"
    plan = plan_of(hosts, groups)
    assert [plan["nodes"][host]["action"] for host in ("cp-1", "cp-2", "w-1")] == [
        "init",
        "join",
        "join",
    ] and "hunter2" not in repr(plan)
    assert not plan["nodes"]["w-1"]["rejoins"]


def test_files_of_a_dropped_database_are_removed():
    hosts, groups = inventory(1, 0, {"kube_distribution": "k3s"})
    paths = ["/etc/rancher/k3s/config.yaml.d/50-kubewright-secrets.yaml", k3s_datastore.TLS["ca"][1]]
    info = hosts["cp-1"]["info"]
    info["owned"] = {"files": dict.fromkeys(paths, {"backup": None})}
    for path in paths:
        info["files"][path] = {"sha256": "0", "mode": "0600", "mtime": 1.0, "owned": True}
    node = plan_of(hosts, groups)["nodes"]["cp-1"]
    gone = [entry for entry in node["files"]["k3s"] if entry.get("state") == "absent"]
    assert gone == [{"path": path, "state": "absent", "secret": True} for path in paths]


def grown(consent, datastore="sqlite"):
    """(hosts, groups) of a cluster of one server with SQLite, to whose inventory two servers came."""
    given = {"kube_distribution": "k3s", "k3s_convert_datastore": consent}
    hosts, groups = inventory(1, 1, given)
    hosts["w-1"]["info"] = inventory(3, 1, given)[0]["w-1"]["info"]  # with the address that it has beside three servers
    hosts = made(hosts, groups)
    hosts["cp-1"]["info"]["cluster"]["datastore"] = datastore
    more, groups = inventory(3, 1, given)
    more["cp-1"] = hosts["cp-1"]
    more["w-1"]["info"] = hosts["w-1"]["info"]
    return more, groups


def test_a_cluster_that_grows_is_not_converted_without_consent():
    found = planner.cluster_plan(*grown(False))["refusals"]
    assert described(found) == ["datastore.needs_conversion node=cp-1 value=SQLite limit=embedded etcd"]


def test_a_cluster_that_grows_is_converted_before_others_join():
    plan = plan_of(*grown(True))
    converting = "datastore.converting node=cp-1 value=SQLite limit=embedded etcd"
    assert converting in described([row for row in plan["warnings"] if row["id"].startswith("datastore.")])
    assert {host: (node["action"], node["stages"]) for host, node in plan["nodes"].items() if host != "w-1"} == {
        "cp-1": ("convert", ["prepare", "start", "leader"]),
        "cp-2": ("join", ["prepare", "start", "join"]),
        "cp-3": ("join", ["prepare", "start", "join"]),
    }
    assert config(plan, "cp-1")["cluster-init"] is True
    lines = report.text(plan)
    assert "SQLite becomes embedded etcd, after a backup to /var/lib/rancher/k3s/backups" in " ".join(
        map(str.strip, lines)
    )
    assert "  cp-1: restart with embedded etcd" in lines


def test_a_conversion_killed_before_the_restart_continues():
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


def test_a_conversion_that_was_interrupted():
    hosts, groups = grown(True, "torn")
    found = planner.cluster_plan(hosts, groups)["refusals"]
    assert described(found) == ["datastore.conversion_interrupted node=cp-1"]
    hosts["cp-1"]["info"]["cluster"].update(live=None)
    assert plan_of(hosts, groups)["nodes"]["cp-1"]["action"] == "convert"  # SQLite has all of it still


@pytest.mark.parametrize("host", ["cp-1", "cp-2"])
def test_a_server_whose_member_was_removed_is_refused_with_the_way_out(host):
    """Whether it is the first server, which K3s does not start again, or one that joined."""
    hosts, groups = inventory(3, 0, {"kube_distribution": "k3s"})
    plan_of(hosts, groups)
    hosts = made(hosts, groups)
    hosts[host]["info"]["cluster"].update(datastore="removed", live=None, data_dir="/srv/rancher/k3s")
    for other in set(hosts) - {host}:
        live = hosts[other]["info"]["cluster"]["live"]
        live["nodes"] = [row for row in live["nodes"] if row["name"] != host]
    for entry in hosts.values():
        entry["inputs"]["kube_data_dir"] = "/srv"
    found = planner.cluster_plan(hosts, groups)["refusals"]
    assert "member.removed node=%s value=removed" % host in described(found)
    text = next(item["text"] for item in found if item["id"] == "member.removed")
    assert "/srv/rancher/k3s/server/db/etcd/tombstone" in text and "kubewright.cluster.reset --limit %s" % host in text


def test_one_server_with_etcd():
    hosts, groups = inventory(1, 0, {"kube_distribution": "k3s", "k3s_datastore": "etcd"})
    plan = plan_of(hosts, groups)
    assert plan["datastore"] == "embedded etcd" and config(plan, "cp-1")["cluster-init"] is True
    hosts = made(hosts, groups)
    hosts["cp-1"]["inputs"]["k3s_datastore"] = "auto"
    plan = plan_of(hosts, groups)
    assert plan["datastore"] == "embedded etcd" and plan["nodes"]["cp-1"]["steps"] == {}


@pytest.mark.parametrize(
    ("given", "stores", "wanted"),
    [
        ({"k3s_datastore": "sqlite"}, "etcd", ["datastore.changed value=['embedded etcd'] limit=SQLite"]),
        (DATABASE, "sqlite", ["datastore.changed value=['SQLite'] limit=external PostgreSQL"]),
        (DATABASE, "etcd", ["datastore.changed value=['embedded etcd'] limit=external PostgreSQL"]),
        ({}, "external mysql", ["datastore.changed value=['external MySQL'] limit=SQLite"]),
        (DATABASE, "external mysql", ["datastore.changed value=['external MySQL'] limit=external PostgreSQL"]),
        (DATABASE, "external postgresql", []),
    ],
)
def test_no_other_change_of_a_datastore(given, stores, wanted):
    hosts, groups = inventory(1, 0, {"kube_distribution": "k3s"})
    hosts = made(hosts, groups)
    hosts["cp-1"]["inputs"].update(given)
    hosts["cp-1"]["info"]["cluster"]["datastore"] = stores
    assert described(planner.cluster_plan(hosts, groups)["refusals"]) == wanted
