# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operation restore on the controller: the plan of an archive on running, dead and new hosts, and what travels."""

from __future__ import annotations

import base64
import os
import zlib
from types import SimpleNamespace

import pytest
import yaml
from ansible import context
from ansible.errors import AnsibleActionFail
from ansible_collections.kubewright.cluster.plugins.action import plan as plan_action
from ansible_collections.kubewright.cluster.plugins.action.restore import ActionModule
from ansible_collections.kubewright.cluster.plugins.lookup import cluster_hosts
from ansible_collections.kubewright.cluster.plugins.module_utils.backup import make
from ansible_collections.kubewright.cluster.plugins.module_utils.backup.kubeadm import Part
from ansible_collections.kubewright.cluster.plugins.module_utils.destinations import copies
from ansible_collections.kubewright.cluster.plugins.module_utils.destinations.places import Directory
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import age, archives
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.operations import restoration
from ansible_collections.kubewright.cluster.tests.unit.plugins.action.conftest import HostVars
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.clusters import running, with_inputs
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described, ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory

CREATED = "2026-11-29T12:00:00Z"
SECRET = "wJalrXUtnFEMIK7MDENG"
S3 = {"bucket": "bk", "access_key": "AK", "secret_key": SECRET}


@pytest.fixture(autouse=True)
def arguments(monkeypatch):
    monkeypatch.setattr(context, "CLIARGS", {"extra_vars": []})
    monkeypatch.setattr(age.Writer.__init__, "__defaults__", (2,))


@pytest.fixture(scope="module")
def cluster():
    """A running cluster of three control planes and a worker."""
    return running()


@pytest.fixture
def archive(tmp_path, cluster):
    """Make an archive of the running cluster. Returns its path."""

    def make_one(name="a.tar.gz", nodes=None, settings=None, files=True, **changes):
        hosts, _groups = cluster
        live = hosts["cp-1"]["info"]["cluster"]["live"]
        stored = yaml.safe_load(live["kubeadm_config"]["ClusterConfiguration"])
        stored.update(settings or {})
        rows = nodes or {host: row["info"]["machine_id"] for host, row in hosts.items()}
        manifest = {
            "format": make.FORMAT,
            "schema": make.SCHEMA,
            "created": CREATED,
            "cluster": {
                "name": "prod",
                "ca_sha256": "ca",
                "uid": "u",
                "distribution": "kubeadm",
                "version": live["version"],
                "nodes": [{"name": host, "machine_id": machine} for host, machine in rows.items()],
            },
            "versions": {"kubernetes": live["version"], "etcd": "3.6.8", "etcd_image": "registry.k8s.io/etcd:3.6.8-0"},
            "datastore": {"kind": "etcd", "revision": 7, "counts": {"secrets": 3, "configmaps": 4}},
            "missing": [],
            **changes,
        }
        parts = []
        for part, place in (
            ("pki/ca.crt", "/etc/kubernetes/pki/ca.crt"),
            ("pki/sa.pub", "/etc/kubernetes/pki/sa.pub"),
            ("files/etc/kubernetes/enc.yaml", "/etc/kubernetes/enc.yaml"),
            ("etcd/snapshot.db", ""),
        ):
            if files or not part.startswith("files/"):
                path = tmp_path / part.replace("/", "_")
                path.write_bytes(os.urandom(1000))
                parts.append(Part(part, str(path), place))
        target = tmp_path / name
        if target.exists():
            target.unlink()
        make.pack(str(target), manifest, parts, {"kubeadm/kubeadm-config.yaml": yaml.safe_dump(stored)})
        return str(target)

    return make_one


def planned(action, store, hosts, groups, options=None, part=None, refuse=False, check_mode=False, surveys=None):
    """Return (operation, stages, printed text). surveys: by host, what its data of etcd are."""
    for host, row in hosts.items():
        look = {"info": row["info"], "error": "off", "inputs": row["inputs"], "problems": []}
        store.put("look", host, {**look, "survey": (surveys or {}).get(host)})
    given = {"restore_" + name: value for name, value in (options or {}).items()}
    made = action(plan_action.ActionModule, {"operation": "restore", "refuse": refuse}, [], given, check_mode)
    variables = {
        "groups": {"all": sorted(hosts), **groups},
        "ansible_play_hosts_all": part or sorted(hosts),
        "inventory_dir": "/inv",
        "hostvars": HostVars({host: {} for host in hosts}),
        **given,
    }
    made.run(task_vars=variables)
    return store.get("plan", "operation"), store.get("plan", "stages"), made._display.text()


def with_uid(info, uid):
    return {**info, "cluster": {**info["cluster"], "live": {**info["cluster"]["live"], "uid": uid}}}


def dead(cluster):
    """The cluster with API servers and etcd that do not answer."""
    hosts, groups = cluster
    quiet = {"healthy": False, "error": "refused", "etcd_members": None, "nodes": []}
    found = {}
    for host, row in hosts.items():
        info = {**row["info"], "cluster": {**row["info"]["cluster"], "finished": True}}
        if host.startswith("cp"):
            info["cluster"]["live"] = quiet
        found[host] = {**row, "info": info}
    return found, groups


def interrupted(hosts, archive, **steps):
    """The hosts with a restore of this archive that was killed. steps: by host; cp_1 for cp-1."""
    found = dict(hosts)
    for name, step in steps.items():
        host = name.replace("_", "-")
        row = {"archive": archive, "at": "20261129T130000Z", "leader": "cp-1", "first": host == "cp-1", "step": step}
        info = hosts[host]["info"]
        owned = {**info["owned"], "settings": {**info["owned"]["settings"], "restore": row}}
        found[host] = {**hosts[host], "info": {**info, "owned": owned}}
    return found


def test_a_dead_cluster_on_its_own_machines(action, store, cluster, archive):
    options = {"archive": archive(), "confirm": "prod"}
    made, stages, text = planned(action, store, *dead(cluster), options, refuse=True)
    assert made["refusals"] == [] and made["first"] == "cp-1" and made["goes_on"] and playing(cluster[1]) != ["!all"]
    assert stages == {"receive": ["cp-1"], "stop": ["cp-1", "cp-2", "cp-3"], "restore": ["cp-1"]}
    assert made["prepare"] == []  # it is a node already, and site does the rest
    assert "cp-1, cp-2, cp-3: stop the control plane" in text and "w-1: nothing, their kubelets connect again" in text
    assert "7 objects of 2 kinds" in text and made["forgotten"] == made["replaced"] == []
    share = store.get("node", "cp-1")
    assert "kind: InitConfiguration" in share["apply"]["start"]["config"]


def test_new_machines_with_new_names(action, store, archive):
    hosts, groups = inventory(1, 1)
    hosts = {name.replace("-", "-new-"): row for name, row in hosts.items()}
    for name, row in hosts.items():
        row["info"].update(hostname=name, machine_id=name)
    groups = {group: [name.replace("-", "-new-") for name in names] for group, names in groups.items()}
    options = {"archive": archive(files=False), "confirm": "prod"}
    made, stages, text = planned(action, store, hosts, groups, options, refuse=True)
    assert described(made["refusals"]) == [] and stages["stop"] == ["cp-new-1"]
    assert {"role": "kube", "tasks": "parts"} in made["prepare"]
    assert made["forgotten"] == ["cp-1", "cp-2", "cp-3", "w-1"] and made["keep"] == ["cp-new-1", "w-new-1"]
    assert "w-new-1: join" in text and "stop the control plane" not in text


def test_the_version_is_the_archives(action, store, cluster, archive):
    hosts, groups = inventory(1, 0)
    path = archive(files=False, cluster={"name": "prod", "ca_sha256": "ca", "uid": "u", "distribution": "kubeadm",
                                         "version": "v1.36.3", "nodes": []})  # fmt: skip
    made, _stages, text = planned(action, store, hosts, groups, {"archive": path})
    assert made["refusals"] == [] and "kubeadm 1.36.3 on 1 node (1 control plane); restore." in text
    hosts["cp-1"]["inputs"]["kube_version"] = "1.35.4"
    made, _stages, _text = planned(action, store, hosts, groups, {"archive": path})
    assert "restore.version value=1.35.4 limit=1.36.3" in described(made["refusals"])


def test_a_machine_with_a_name_of_another(action, store, cluster, archive):
    hosts, groups = dead(cluster)
    rows = {host: "other" if host in ("cp-2", "w-1") else row["info"]["machine_id"] for host, row in hosts.items()}
    made, _stages, text = planned(action, store, hosts, groups, {"archive": archive(nodes={**rows, "old": "x"})})
    assert made["replaced"] == ["cp-2", "w-1"] and made["forgotten"] == ["old"]
    assert "delete the Nodes that are other machines now: cp-2, w-1" in text


def test_what_serves_is_not_replaced_without_being_told(action, store, cluster, archive):
    hosts, groups = cluster
    path = archive()
    made, stages, _text = planned(action, store, hosts, groups, {"archive": path})
    assert ids(made["refusals"]) == ["restore.serving"] and stages == {}
    majority = {"healthy": False, "error": "refused", "etcd_members": [{}], "nodes": []}
    half = {host: {**row, "info": {**row["info"], "cluster": {**row["info"]["cluster"], "live": majority}}}
            for host, row in hosts.items() if host == "cp-1"}  # fmt: skip
    made, _stages, _text = planned(action, store, {**dead(cluster)[0], **half}, groups, {"archive": path})
    assert described(made["refusals"]) == ["restore.serving value=['cp-1']"]
    hosts = {**hosts, "cp-1": {**hosts["cp-1"], "info": with_uid(hosts["cp-1"]["info"], "of an empty cluster")}}
    options = {"archive": path, "overwrite": True, "confirm": "prod"}
    made, stages, _text = planned(action, store, hosts, groups, options, refuse=True)
    assert made["refusals"] == [] and stages["stop"] == ["cp-1", "cp-2", "cp-3"]


def test_it_must_be_confirmed_but_not_to_be_shown(action, store, cluster, archive):
    hosts, groups = dead(cluster)
    for options in ({"archive": archive()}, {"archive": archive(), "confirm": "other"}):
        made, stages, _text = planned(action, store, hosts, groups, options, refuse=True)
        assert ids(made["refusals"]) == ["restore.not_confirmed"] and stages == {} and not made["goes_on"]
        made, stages, _text = planned(action, store, hosts, groups, options)
        assert made["refusals"] == [] and stages == {} and not made["goes_on"]
        made, stages, _text = planned(action, store, hosts, groups, options, refuse=True, check_mode=True)
        assert made["refusals"] == [] and stages == {} and not made["goes_on"]
        assert playing(groups) == ["!all"]  # the plays of site, which the playbook ends with


def playing(groups):
    """Return the hosts of a play of site that has all hosts of the cluster."""
    made = cluster_hosts.LookupModule()
    made.set_options = lambda **_named: None
    made.get_option = {"left_out": False, "local": False, "propose": False}.get
    return made.run([], {"groups": {"all": ["cp-1"], **groups}})


def test_problems_come_at_once(action, store, cluster, archive):
    hosts, groups = dead(cluster)
    other = {**hosts["w-1"]["info"]["cluster"], "ca_sha256": "another"}
    hosts["w-1"] = {**hosts["w-1"], "info": {**hosts["w-1"]["info"], "cluster": other}}
    path = archive(
        settings={"networking": {"podSubnet": "10.9.0.0/16", "serviceSubnet": "10.96.0.0/12", "dnsDomain": "x"}},
        missing=["/etc/kubernetes/pki/ca.key"],
        versions={"etcd": "3.9.1"},
    )
    made, stages, _text = planned(action, store, hosts, groups, {"archive": path}, part=["cp-1", "cp-2", "w-1"])
    assert set(ids(made["refusals"])) >= {
        "restore.setting", "restore.no_key", "restore.etcd_version", "restore.other_cluster", "limit.left_out",
    }  # fmt: skip
    assert "restore.other_cluster node=w-1 value=another limit=ca" in described(made["refusals"])
    assert stages == {}


def test_other_endpoints(action, store, cluster, archive):
    path = archive(settings={"controlPlaneEndpoint": "api.example.com:6443"}, files=False)
    made, _stages, _text = planned(action, store, *dead(cluster), {"archive": path})
    assert ids(made["refusals"]) == ["restore.endpoint"]
    made, _stages, _text = planned(action, store, *inventory(3, 1), {"archive": path})
    assert made["refusals"] == [] and "restore.new_endpoint" in ids(made["warnings"])


def test_other_distributions_and_datastores(action, store, cluster, archive):
    hosts, groups = inventory(1, 0, {"kube_distribution": "k3s"})
    made, _stages, _text = planned(action, store, hosts, groups, {"archive": archive()})
    assert "restore.distribution value=k3s limit=kubeadm" in described(made["refusals"])
    external = {"endpoints": ["https://10.0.0.9:2379"], "caFile": "/a", "certFile": "/b", "keyFile": "/c"}
    hosts, groups = inventory(1, 0, {"kubeadm_cluster_config": {"etcd": {"external": external}}})
    made, _stages, _text = planned(action, store, hosts, groups, {"archive": archive()})
    assert "restore.external_etcd" in ids(made["refusals"])


def test_archives_that_are_none(action, store, cluster, archive, monkeypatch):
    path = archive()
    with open(path, "r+b") as stream:
        stream.truncate(900)
    made, _stages, _text = planned(action, store, *dead(cluster), {"archive": path})
    assert made["refusals"][0]["id"] == "restore.archive" and "%s is cut short" % path in made["refusals"][0]["text"]
    made, _stages, _text = planned(action, store, *dead(cluster), {"archive": "/nowhere/a.tar.gz"})
    assert described(made["refusals"]) == ["restore.unreadable value=/nowhere/a.tar.gz"]

    def examined(name, _passphrase):
        raise archives.ArchiveError("damaged", "%s is damaged." % name)

    monkeypatch.setattr(archives, "examine", examined)
    made, _stages, _text = planned(action, store, *dead(cluster), {"archive": "/nowhere/a.tar.gz"})
    assert described(made["refusals"]) == ["restore.archive value=/nowhere/a.tar.gz"]
    made, _stages, _text = planned(action, store, *dead(cluster))
    assert ids(made["refusals"]) == ["restore.no_archive"]


def test_a_directory_stands_for_its_newest_archive(action, store, cluster, archive):
    path = archive()
    directory, name = os.path.split(path)
    _made, _stages, text = planned(action, store, *dead(cluster), {"archive": directory})
    assert "%s has no archive of the playbook backup" % directory in text
    os.rename(path, os.path.join(directory, "prod-0a1b2c3d-20261129T120000Z.tar.gz"))
    for other in ("prod-0a1b2c3d-20261128T120000Z.tar.gz", "prod-0a1b2c3d-20261130T120000Z.tar.gz.partial", "notes"):
        open(os.path.join(directory, other), "w").close()
    made, _stages, text = planned(action, store, *dead(cluster), {"archive": directory})
    assert made["refusals"] == [] and made["archive"].endswith("/prod-0a1b2c3d-20261129T120000Z.tar.gz")
    open(os.path.join(directory, "other-ffffffff-20261101T120000Z.tar.gz.age"), "w").close()
    _made, _stages, text = planned(action, store, *dead(cluster), {"archive": directory})
    assert "has archives of 2 clusters" in text and "other-ffffffff-20261101T120000Z.tar.gz.age" in text


# -- runs that were killed ---------------------------------------------------------------------------------------------


def identity(path):
    """Return the ID of an archive."""
    options = {"archive": path, "undo": False}
    return restoration.Operation(options, "", {}, {}, True).options["archive_id"]


def test_it_goes_on_where_it_was(action, store, cluster, archive):
    options = {"archive": archive(), "confirm": "prod"}
    hosts, groups = dead(cluster)
    mine = identity(options["archive"])
    half = interrupted(hosts, mine, cp_1="stopped", cp_2="stopping")
    made, stages, _text = planned(action, store, half, groups, options, refuse=True)
    assert made["refusals"] == [] and made["at"] == "20261129T130000Z" and stages["stop"] == ["cp-2", "cp-3"]
    serving = interrupted(cluster[0], mine, cp_1="placed", cp_2="stopped")
    made, stages, text = planned(action, store, serving, groups, options, refuse=True)
    assert made["refusals"] == [] and made["goes_on"] and "serves the restored data already" in text
    assert stages == {"receive": [], "stop": [], "restore": ["cp-1"]}
    joining = interrupted(cluster[0], mine, cp_2="stopped")
    made, stages, _text = planned(action, store, joining, groups, options, refuse=True)
    assert stages == {"receive": [], "stop": [], "restore": []} and made["goes_on"]


def test_another_archive_does_not_go_on(action, store, cluster, archive):
    half = interrupted(dead(cluster)[0], "another", cp_1="stopped")
    made, _stages, _text = planned(action, store, half, cluster[1], {"archive": archive()})
    assert described(made["refusals"]) == ["restore.interrupted node=cp-1"]


def test_undo(action, store, cluster, archive):
    groups = cluster[1]
    made, stages, _text = planned(action, store, *cluster, {"undo": True}, refuse=True)
    assert ids(made["refusals"]) == ["restore.nothing_to_undo"] and stages == {}
    half = interrupted(dead(cluster)[0], "a", cp_1="placed", cp_2="stopped")
    made, stages, text = planned(action, store, half, groups, {"undo": True}, refuse=True)
    assert made["refusals"] == [] and stages == {"undo": ["cp-1", "cp-2"]} and not made["goes_on"]
    assert "put back what it put aside" in text and made["names"]["cp-1"] == "cp-1"
    late = interrupted(cluster[0], "a", cp_1="placed", cp_2="stopped")
    made, stages, _text = planned(action, store, late, groups, {"undo": True}, refuse=True)
    assert ids(made["refusals"]) == ["restore.too_late"] and stages == {}


# -- what travels ------------------------------------------------------------------------------------------------------


@pytest.fixture
def restore(action, store, cluster, archive):
    def make_one(state, answers, host="cp-1", check_mode=False, path=None):
        options = {"archive": path or archive(), "confirm": "prod"}
        planned(action, store, *dead(cluster), options, refuse=True)
        variables = {"restore_archive": options["archive"], "inventory_hostname": host, "inventory_dir": "/nowhere"}
        made = action(ActionModule, {"state": state}, answers=answers, variables=variables, check_mode=check_mode)
        made._connection._play_context = SimpleNamespace(no_log=False)
        return made, made.run(task_vars=variables)

    return make_one


def test_missing_parts_travel_in_pieces(restore, archive, monkeypatch, tmp_path):
    monkeypatch.setattr("ansible_collections.kubewright.cluster.plugins.action.restore.PIECE", 600)
    names = ["etcd/snapshot.db", "pki/ca.crt"]
    answers = [{"missing": names}, *[{"changed": True}] * 4, {"changed": True}]
    made, result = restore("prepared", answers)
    assert result["changed"] and all(hidden for _module, _arguments, hidden in made.asked)
    assert [asked["state"] for _module, asked, _hidden in made.asked] == ["begun", *["received"] * 4, "prepared"]
    sent = {}
    for _module, asked, _hidden in made.asked[1:-1]:
        assert asked["offset"] == len(sent.get(asked["part"], b""))
        sent[asked["part"]] = sent.get(asked["part"], b"") + zlib.decompress(base64.b64decode(asked["piece"]))
    assert sent == {name: (tmp_path / name.replace("/", "_")).read_bytes() for name in names}
    last = made.asked[-1][1]
    assert last["address"] == "10.0.0.11" and "InitConfiguration" in last["config"] and last["name"] == "cp-1"


def test_control_planes_that_join_get_the_users_files(restore, tmp_path):
    made, _result = restore("stopped", [{"changed": True}], host="cp-2")
    asked = made.asked[0][1]
    assert [each["path"] for each in asked["files"]] == ["/etc/kubernetes/enc.yaml"] and not asked["first"]
    content = (tmp_path / "files_etc_kubernetes_enc.yaml").read_bytes()
    assert base64.b64decode(asked["files"][0]["content"]) == content and asked["leader"] == "cp-1"
    made, _result = restore("stopped", [{"changed": True}])
    assert made.asked[0][1]["files"] == [] and made.asked[0][1]["first"]


def test_the_counts_decide(restore):
    answer = {"changed": True, "counts": {"secrets": 3, "configmaps": 4}, "wrong": [], "deleted": [], "seconds": 9.5}
    made, result = restore("started", [answer])
    assert "7 objects of 2 kinds, as many as were saved" in made._display.text() and not result.get("failed")
    answer = {**answer, "counts": {"secrets": 2}, "wrong": ["configmaps", "secrets"]}
    _made, result = restore("started", [answer])
    assert result["failed"] and "configmaps: 0 of 4, secrets: 2 of 3" in result["msg"]


def test_failures_and_check_mode(restore, action, store):
    made, result = restore("started", [], check_mode=True)
    assert result["changed"] and made.asked == []
    with pytest.raises(AnsibleActionFail, match="no space"):
        restore("stopped", [{"failed": True, "msg": "no space"}])
    made, result = restore("undone", [{"changed": True}])
    assert result["changed"] and made.asked[0][1] == {"state": "undone", "name": "cp-1"}
    store.put("plan", "operation", {})
    made = action(ActionModule, {"state": "undone"})
    with pytest.raises(AnsibleActionFail, match="was not planned"):
        made.run(task_vars={"inventory_hostname": "cp-1"})


def test_an_archive_at_a_destination_is_brought_here(action, store, tmp_path, archive, cluster, monkeypatch):
    there = tmp_path / "there"
    there.mkdir()
    os.rename(archive(), there / "a.tar.gz")
    place = Directory(str(there))
    place.label = "s3://bk/"
    monkeypatch.setattr(copies, "place_of", lambda _settings, _work=None: place)
    hosts, groups = with_inputs(dead(cluster)[0], kube_backup={"to": [{"s3": S3}]}), dead(cluster)[1]
    options = {"archive": "s3://bk/a.tar.gz", "confirm": "prod"}
    made, stages, text = planned(action, store, hosts, groups, options, refuse=True)
    assert described(made["refusals"]) == [] and stages["restore"] == ["cp-1"]
    assert "from: s3://bk/a.tar.gz (" in text and SECRET not in text
    assert os.path.isfile(made["archive"]) and not made["archive"].startswith(str(there))
    options["archive"] = "s3://bk/b.tar.gz"
    made, _stages, _text = planned(action, store, hosts, groups, options, refuse=True)
    assert described(made["refusals"]) == ["restore.archive value=s3://bk/b.tar.gz"]
    options["archive"] = "sftp://h/b.tar.gz"
    made, _stages, _text = planned(action, store, hosts, groups, options, refuse=True)
    assert "is at no destination of kube_backup.to (s3://bk/)" in made["refusals"][0]["text"]


def k3s_archive(tmp_path, nodes=(("cp-1", None), ("w-1", None)), settings=None, name="edge", on="sqlite", **changes):
    """Make an archive of a K3s cluster. Returns its path. on: its datastore."""
    parts = []
    stored = {
        "sqlite": ("server/db/state.db",),
        "etcd": ("etcd/snapshot.db", "server/tls/etcd/server-ca.crt"),
        "external": ("database/kine.db",),
    }[on]
    for part in (*stored, "server/token", "server/tls/server-ca.crt", "server/tls/client-ca.crt"):
        path = tmp_path / part.replace("/", "_")
        path.write_bytes(os.urandom(100))
        parts.append(Part(part, str(path), "/var/lib/rancher/k3s/" + part))
    rows = [{"name": node, "machine_id": machine} for node, machine in nodes]
    permanent = {
        "cluster-cidr": ["10.244.0.0/16"],
        "service-cidr": ["10.96.0.0/12"],
        "cluster-domain": ["cluster.local"],
    }
    manifest = {
        "format": make.FORMAT,
        "schema": make.SCHEMA,
        "created": CREATED,
        "cluster": {"name": name, "ca_sha256": "ca", "uid": "u", "distribution": "k3s", "version": "v1.36.3",
                    "nodes": rows, "settings": settings or permanent},
        "versions": {"kubernetes": "v1.36.3", "k3s": "v1.36.3+k3s1"},
        "datastore": {"kind": on, "revision": 7, "counts": {"secrets": 3, "configmaps": 4},
                      **({"engine": "PostgreSQL"} if on == "external" else {})},
        "missing": [],
        **changes,
    }  # fmt: skip
    target = tmp_path / ("k3s%d.tar.gz" % len(list(tmp_path.glob("k3s*"))))
    make.pack(str(target), manifest, parts, {})
    return str(target)


K3S = {"kube_distribution": "k3s", "kube_version": "1.36.3"}
CONFIRMED = {"confirm": "edge"}


def lost_k3s(**cluster):
    """A server on SQLite and an agent. The server's K3s does not serve, and cluster: what else its facts say."""
    hosts, groups = running(K3S, 1, 1)
    info = hosts["cp-1"]["info"]
    facts = {**info["cluster"], "live": None, **cluster}
    return {**hosts, "cp-1": {**hosts["cp-1"], "info": {**info, "cluster": facts}}}, groups


def test_k3s_whose_database_is_lost(action, store, tmp_path):
    hosts, groups = lost_k3s(etcd_data=False, datastore=None, finished=False)
    for row in hosts.values():  # the node's program that holds its port
        row["info"]["ports"] = [{"port": 10250, "protocol": "tcp", "process": "kubelet"}]
    options = {"archive": k3s_archive(tmp_path), **CONFIRMED}
    made, stages, text = planned(action, store, hosts, groups, options, refuse=True)
    assert described(made["refusals"]) == [] and made["goes_on"] and made["prepare"] == []
    assert stages == {"receive": ["cp-1"], "stop": ["cp-1"], "restore": ["cp-1"]}
    assert made["data_dirs"]["cp-1"] == "/var/lib/rancher/k3s"
    assert "cp-1: receive the archive, make a database of it" in text
    assert "cp-1: stop K3s; its database, keys and tokens go to /var/lib/rancher/k3s/before-" in text
    assert "w-1: nothing, their kubelets connect again" in text and "SQLite revision 7" in text
    assert store.get("node", "cp-1")["apply"]["timeout"] == 300


def test_k3s_on_new_machines(action, store, tmp_path):
    hosts, groups = inventory(1, 1, K3S)
    options = {"archive": k3s_archive(tmp_path, (("old-1", "a"), ("old-2", "b"))), **CONFIRMED}
    made, stages, text = planned(action, store, hosts, groups, options, refuse=True)
    assert described(made["refusals"]) == [] and stages["stop"] == ["cp-1"]
    assert {"role": "kube", "tasks": "parts"} in made["prepare"] and "stop K3s" not in text
    assert made["forgotten"] == ["old-1", "old-2"] and "w-1: join" in text


def lost_servers(count=3):
    """Servers on embedded etcd whose K3s does not serve, and an agent."""
    hosts, groups = running({**K3S, "k3s_datastore": "etcd"}, count, 1)
    for host in groups["kube_control_plane"]:
        info = hosts[host]["info"]
        facts = {**info["cluster"], "live": {"healthy": False, "error": "refused", "etcd_members": None, "nodes": []}}
        hosts[host] = {**hosts[host], "info": {**info, "cluster": facts}}
    return hosts, groups


def test_k3s_servers_whose_etcd_is_lost(action, store, tmp_path):
    options = {"archive": k3s_archive(tmp_path, on="etcd"), **CONFIRMED}
    made, stages, text = planned(action, store, *lost_servers(), options, refuse=True)
    assert described(made["refusals"]) == [] and made["goes_on"] and made["prepare"] == []
    planes = ["cp-1", "cp-2", "cp-3"]
    assert stages == {"receive": ["cp-1"], "stop": planes, "restore": ["cp-1"]}
    assert [made["data_dirs"][host] for host in planes] == ["/var/lib/rancher/k3s"] * 3
    assert "cp-1: receive the archive, check its snapshot" in text and "etcd revision 7" in text
    assert "cp-1, cp-2, cp-3: stop K3s; its database, keys and tokens go to /var/lib/rancher/k3s/before-" in text
    assert "let K3s restore the snapshot (k3s server --cluster-reset), start K3s" in text
    assert "cp-2, cp-3: join the control plane, with an empty etcd" in text
    assert "w-1: nothing, their kubelets connect again" in text


def test_k3s_with_etcd_on_new_machines(action, store, tmp_path):
    """A single server would get SQLite; the archive says what it had."""
    for servers in (1, 3):
        hosts, groups = inventory(servers, 1, K3S)
        options = {"archive": k3s_archive(tmp_path, (("old-1", "a"),), on="etcd"), **CONFIRMED}
        made, stages, _text = planned(action, store, hosts, groups, options, refuse=True)
        assert described(made["refusals"]) == [] and stages["stop"] == ["cp-1"] and made["forgotten"] == ["old-1"]
        assert {"role": "kube", "tasks": "parts"} in made["prepare"]
        files = {entry["path"]: entry for entry in store.get("node", "cp-1")["files"]["k3s"]}
        assert "cluster-init: true" in files["/etc/rancher/k3s/config.yaml"]["content"]


def test_k3s_with_etcd_goes_on_where_it_was_and_is_undone(action, store, tmp_path):
    options = {"archive": k3s_archive(tmp_path, on="etcd"), **CONFIRMED}
    hosts, groups = lost_servers()
    mine = identity(options["archive"])
    half = interrupted(hosts, mine, cp_1="stopped", cp_2="stopping")
    for host in ("cp-1", "cp-2"):
        half[host]["info"]["owned"]["settings"]["restore"]["data_dir"] = "/srv/k3s"
    made, stages, _text = planned(action, store, half, groups, options, refuse=True)
    assert made["refusals"] == [] and stages["stop"] == ["cp-2", "cp-3"] and stages["restore"] == ["cp-1"]
    made, stages, _text = planned(action, store, half, groups, {"undo": True}, refuse=True)
    assert made["refusals"] == [] and stages == {"undo": ["cp-1", "cp-2"]}
    assert made["data_dirs"] == dict.fromkeys(["cp-1", "cp-2"], "/srv/k3s")
    serving = interrupted(running({**K3S, "k3s_datastore": "etcd"}, 3, 1)[0], mine, cp_1="placed", cp_2="stopped")
    made, stages, _text = planned(action, store, serving, groups, {"undo": True}, refuse=True)
    assert described(made["refusals"]) == ["restore.too_late node=cp-1"] and stages == {}


def test_k3s_with_etcd_is_not_restored_to_something_else(action, store, tmp_path):
    path = k3s_archive(tmp_path, on="etcd")
    made, _stages, _text = planned(
        action, store, *inventory(1, 0, {**K3S, "k3s_datastore": "sqlite"}), {"archive": path}
    )
    assert "restore.datastore value=SQLite limit=embedded etcd" in described(made["refusals"])
    serving = running({**K3S, "k3s_datastore": "etcd"}, 3, 1)
    made, stages, _text = planned(action, store, *serving, {"archive": path, **CONFIRMED}, refuse=True)
    assert ids(made["refusals"]) == ["restore.serving"] and stages == {}


ON_POSTGRESQL = {**K3S, "kube_needs": ["external_database"], "k3s_datastore_endpoint": "postgres://u:p4ssw0rd@db/k3s"}


def test_k3s_servers_whose_external_database_is_lost(action, store, tmp_path):
    hosts, groups = running(ON_POSTGRESQL, 2, 1)
    for host in groups["kube_control_plane"]:
        info = hosts[host]["info"]
        facts = {**info["cluster"], "live": {"healthy": False, "error": "refused", "nodes": []}}
        hosts[host] = {**hosts[host], "info": {**info, "cluster": facts}}
    options = {"archive": k3s_archive(tmp_path, on="external"), **CONFIRMED}
    made, stages, text = planned(action, store, hosts, groups, options, refuse=True)
    assert described(made["refusals"]) == [] and made["goes_on"]
    assert stages == {"receive": ["cp-1"], "stop": ["cp-1", "cp-2"], "restore": ["cp-1"]}
    assert "PostgreSQL revision 7" in text and "cp-1: receive the archive, ask the database" in text
    assert "cp-1: replace the rows of the database (the former ones stay in its table kine_before_2" in text
    assert "cp-2: join the control plane w-1" in text and "p4ssw0rd" not in text


def test_k3s_with_an_external_database_on_new_machines(action, store, tmp_path):
    hosts, groups = inventory(2, 1, ON_POSTGRESQL)
    options = {"archive": k3s_archive(tmp_path, (("old-1", "a"),), on="external"), **CONFIRMED}
    made, stages, _text = planned(action, store, hosts, groups, options, refuse=True)
    assert described(made["refusals"]) == [] and stages["stop"] == ["cp-1"] and made["forgotten"] == ["old-1"]


def test_k3s_with_an_external_database_is_not_restored_to_something_else(action, store, tmp_path):
    options = {"archive": k3s_archive(tmp_path, on="external"), **CONFIRMED}
    made, _stages, _text = planned(action, store, *inventory(1, 1, K3S), options)
    assert "restore.datastore value=SQLite limit=external PostgreSQL" in described(made["refusals"])
    other = {**ON_POSTGRESQL, "k3s_datastore_endpoint": "mysql://u:p@tcp(db:3306)/k3s"}
    made, _stages, _text = planned(action, store, *inventory(1, 1, other), options)
    assert "restore.datastore value=external MySQL limit=external PostgreSQL" in described(made["refusals"])
    made, _stages, _text = planned(action, store, *inventory(1, 1, ON_POSTGRESQL), {"archive": k3s_archive(tmp_path)})
    assert "restore.datastore value=external PostgreSQL limit=SQLite" in described(made["refusals"])


def test_k3s_that_serves_is_not_replaced(action, store, tmp_path):
    hosts, groups = running(K3S, 1, 1)
    options = {"archive": k3s_archive(tmp_path), **CONFIRMED}
    made, stages, _text = planned(action, store, hosts, groups, options, refuse=True)
    assert ids(made["refusals"]) == ["restore.serving"] and stages == {}
    made, stages, _text = planned(action, store, hosts, groups, {**options, "overwrite": True}, refuse=True)
    assert made["refusals"] == [] and stages["stop"] == ["cp-1"]


def test_k3s_archives_that_do_not_fit(action, store, tmp_path, cluster):
    hosts, groups = lost_k3s(etcd_data=False, datastore=None, finished=False)
    other = {"cluster-cidr": ["10.1.0.0/16"], "service-cidr": ["10.96.0.0/12"], "cluster-domain": ["cluster.local"]}
    missing = ["/var/lib/rancher/k3s/server/tls/client-ca.key"]
    path = k3s_archive(tmp_path, settings=other, missing=missing)
    made, _stages, _text = planned(action, store, hosts, groups, {"archive": path})
    assert described(made["refusals"]) == [
        "restore.no_key value=%s" % missing,
        "restore.setting value=10.244.0.0/16 limit=10.1.0.0/16",
    ]
    made, _stages, _text = planned(action, store, *running(K3S, 3, 1), {"archive": k3s_archive(tmp_path)})
    assert "restore.datastore value=embedded etcd limit=SQLite" in described(made["refusals"])
    made, _stages, _text = planned(action, store, *dead(cluster), {"archive": k3s_archive(tmp_path)})
    assert described(made["refusals"])[0] == "restore.distribution value=kubeadm limit=k3s"


def test_a_restore_of_k3s_is_undone_until_it_serves(action, store, tmp_path):
    row = {"archive": "x", "at": "20261129T130000Z", "leader": "cp-1", "first": True, "data_dir": "/srv/k3s"}
    hosts, groups = running(K3S, 1, 1)
    info = hosts["cp-1"]["info"]

    def with_step(step, cluster):
        owned = {**info["owned"], "settings": {**info["owned"]["settings"], "restore": {**row, "step": step}}}
        return {**hosts, "cp-1": {**hosts["cp-1"], "info": {**info, "cluster": cluster, "owned": owned}}}

    stopped = with_step("stopped", {**info["cluster"], "live": None})
    made, stages, _text = planned(action, store, stopped, groups, {"undo": True}, refuse=True)
    assert made["refusals"] == [] and stages == {"undo": ["cp-1"]} and made["data_dirs"] == {"cp-1": "/srv/k3s"}
    serving = with_step("placed", info["cluster"])
    made, stages, _text = planned(action, store, serving, groups, {"undo": True}, refuse=True)
    assert described(made["refusals"]) == ["restore.too_late node=cp-1"] and stages == {}
    assert "is in /srv/k3s/before-20261129T130000Z." in made["refusals"][0]["text"]


def test_what_a_k3s_server_gets(action, store, tmp_path):
    path = k3s_archive(tmp_path)
    hosts, groups = lost_k3s(etcd_data=False, datastore=None, finished=False)
    planned(action, store, hosts, groups, {"archive": path, **CONFIRMED}, refuse=True)
    answers = [{"missing": ["server/token"]}, {}, {"changed": True}]
    variables = {"restore_archive": path, "inventory_hostname": "cp-1", "inventory_dir": "/nowhere"}
    made = action(ActionModule, {"state": "prepared"}, answers=answers, variables=variables)
    made._connection._play_context = SimpleNamespace(no_log=False)
    assert made.run(task_vars=variables)["changed"]
    sent = [arguments for _module, arguments, _hidden in made.asked]
    assert [each["state"] for each in sent] == ["begun", "received", "prepared"]
    assert {each["data_dir"] for each in sent} == {"/var/lib/rancher/k3s"} and sent[2]["timeout"] == 300


def test_a_cluster_that_another_run_changes_is_not_replaced_under_it(action, store, tmp_path):
    hosts, groups = running(K3S, 1, 1)
    options = {"archive": k3s_archive(tmp_path), **CONFIRMED, "overwrite": True}
    held = {"run": "build/2-2", "text": "bob@build is changing this cluster (site)."}
    hosts["cp-1"]["info"]["cluster"]["live"]["lock"] = held
    made, stages, _text = planned(action, store, hosts, groups, options, refuse=True)
    assert ids(made["refusals"]) == ["cluster.locked"] and stages == {}
