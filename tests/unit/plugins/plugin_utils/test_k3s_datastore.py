# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s's datastores: addresses, TLS, and what a running cluster may become."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.kubewright.cluster.plugins.plugin_utils import k3s_datastore, k3s_plan, planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import applied, inventory

K3S = {"kube_distribution": "k3s"}
EXTERNAL = {**K3S, "kube_needs": ["external_database"], "k3s_datastore_endpoint": "postgres://k3s:hunter2@db.example:5432/k3s"}
PEM = {
    "ca": "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----",
    "certificate": "-----BEGIN CERTIFICATE-----\nYg==\n-----END CERTIFICATE-----",
    "key": "-----BEGIN EC PRIVATE KEY-----\nYw==\n-----END EC PRIVATE KEY-----",
}


def config(plan, host):
    files = {entry["path"]: entry["content"] for entry in plan["nodes"][host]["files"]["k3s"]}
    return yaml.safe_load(files["/etc/rancher/k3s/config.yaml"])


@pytest.mark.parametrize(
    "address",
    [
        "postgres://k3s:pa%40ss@db.example:5432/k3s?sslmode=verify-full",
        "postgresql://db/k3s",
        "postgres://",
        "mysql://k3s:pw@tcp(db.example:3306)/k3s",
        "mysql://root@unix(/run/mysqld/mysqld.sock)/",
        "mysql://",
        "https://etcd-1:2379,https://etcd-2:2379,https://[fd00::3]:2379",
        "http://10.0.0.9:2379",
    ],
)
def test_addresses_of_all_drivers(address):
    assert k3s_datastore.problems({**EXTERNAL, "k3s_datastore_endpoint": address, "k3s_datastore_tls": dict.fromkeys(PEM)}) == []


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"k3s_datastore_endpoint": ""}, "set k3s_datastore_endpoint"),
        ({"kube_needs": []}, "add external_database to kube_needs"),
        ({"k3s_datastore_endpoint": "redis://u:hunter2@db"}, "has the scheme redis"),
        ({"k3s_datastore_endpoint": "u:hunter2@db/k3s"}, "has the scheme none"),
        ({"k3s_datastore_endpoint": "mysql://u:hunter2@db:3306/k3s"}, "is no address of MySQL; write it as mysql://user:password@tcp("),
        ({"k3s_datastore_endpoint": "postgres://u:hunter2@db:port/k3s"}, "is no address of PostgreSQL"),
        ({"k3s_datastore_endpoint": "https://etcd-1:2379,hunter2"}, "is no address of etcd"),
        ({"k3s_datastore_tls": {"certificate": PEM["certificate"]}}, "certificate and key belong together"),
        ({"k3s_datastore_tls": {"ca": "/etc/ssl/hunter2.pem"}}, "k3s_datastore_tls.ca holds no PEM block CERTIFICATE"),
        ({"k3s_datastore_endpoint": "", "kube_needs": [], "k3s_datastore_tls": {"ca": PEM["ca"]}}, "is set without k3s_datastore_endpoint"),
    ],
)
def test_what_makes_no_sense_is_said_without_the_password(inputs, words):
    refusals = planner.cluster_plan(*inventory(1, 0, {**EXTERNAL, **inputs}))["refusals"]
    assert any(words in text for text in refusals), refusals
    assert "hunter2" not in repr(refusals)


def test_tls_files_are_on_servers_alone():
    hosts, groups = inventory(2, 1, {**EXTERNAL, "k3s_datastore_tls": PEM})
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and plan["datastore"] == "external PostgreSQL"
    assert config(plan, "cp-2")["datastore-keyfile"] == "/etc/rancher/k3s/datastore/client.key"
    assert not [key for key in config(plan, "w-1") if key.startswith("datastore")]
    values = {"kube_registries": {}, "kube_http_proxy": {}, "k3s_config": {}, **EXTERNAL, "k3s_datastore_tls": PEM, "k3s_embedded_registry": False}
    written = {entry["path"]: entry["mode"] for entry in k3s_plan.secret_files({"role": "control_plane", "inputs": values}, plan)}
    assert written["/etc/rancher/k3s/datastore/client.key"] == "0600" and len(written) == 4


def test_two_servers_may_share_a_database_and_find_each_other_there():
    plan = planner.cluster_plan(*inventory(2, 0, EXTERNAL))
    assert plan["refusals"] == [] and "server" not in config(plan, "cp-2") and "cluster-init" not in config(plan, "cp-1")


def running(size, inputs, datastore, more=0):
    """A running cluster with so many servers that store so, and the inventory with some more."""
    hosts, groups = inventory(size, 0, inputs)
    plan = planner.cluster_plan(hosts, groups)
    larger, groups = inventory(size + more, 0, inputs)
    for host in hosts:
        larger[host]["info"] = applied(larger[host]["info"], plan["nodes"][host], plan)
        larger[host]["info"]["cluster"]["datastore"] = datastore
    return larger, groups


def test_from_sqlite_to_etcd_by_consent_alone():
    hosts, groups = running(1, K3S, "sqlite", more=2)
    assert any("set k3s_convert_datastore: true" in text for text in planner.cluster_plan(hosts, groups)["refusals"])
    for row in hosts.values():
        row["inputs"]["k3s_convert_datastore"] = True
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and plan["datastore"] == "embedded etcd"
    assert (plan["nodes"]["cp-1"]["member"], plan["nodes"]["cp-1"]["stages"]) == ("convert", ["prepare", "start", "leader"])
    assert config(plan, "cp-1")["cluster-init"] is True and "server" not in config(plan, "cp-1")
    assert plan["nodes"]["cp-2"]["member"] == "join" and "server" in config(plan, "cp-2")


def test_a_conversion_that_was_killed_before_the_restart_goes_on():
    hosts, groups = running(1, K3S, "sqlite", more=2)
    for row in hosts.values():
        row["inputs"]["k3s_convert_datastore"] = True
    plan = planner.cluster_plan(hosts, groups)
    hosts["cp-1"]["info"] = applied(hosts["cp-1"]["info"], {**plan["nodes"]["cp-1"], "member": ""}, plan)
    hosts["cp-1"]["info"]["cluster"].update(datastore="sqlite", cluster_init=True)
    again = planner.cluster_plan(hosts, groups)
    assert again["nodes"]["cp-1"]["steps"] == {} and again["nodes"]["cp-1"]["stages"] == ["start", "leader"]
    assert again["nodes"]["cp-1"]["member"] == "convert"


def test_a_server_alone_keeps_the_etcd_that_it_has():
    hosts, groups = running(1, K3S, "etcd")
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == [] and plan["datastore"] == "embedded etcd"


@pytest.mark.parametrize(("there", "inputs"), [("sqlite", EXTERNAL), ("etcd", EXTERNAL), ("external", K3S)])
def test_a_running_cluster_is_not_moved(there, inputs):
    hosts, groups = running(1, inputs, there)
    refusals = planner.cluster_plan(hosts, groups)["refusals"]
    assert any("a running cluster is not moved" in text for text in refusals), refusals
