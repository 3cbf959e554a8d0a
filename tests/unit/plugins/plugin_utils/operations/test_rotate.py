# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of rotate: which certificates, in which order, and each state in which nothing may be renewed."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api.certificates import AUTHORITIES
from ansible_collections.kubewright.cluster.plugins.plugin_utils.operations import operations
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import plan_text
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described

PLANES, WORKERS = ["cp-1", "cp-2", "cp-3"], ["w-1"]
HOSTS = [*PLANES, *WORKERS]
OPTIONS = {"what": "certificates", "days": 120, "force": False, "timeout": 300, "part": HOSTS, "kubeconfig": None}
OPTIONS["kubeadm_config"] = "encryptionAlgorithm: ECDSA-P256\n"
STORED = {"ClusterConfiguration": "kind: ClusterConfiguration\n"}


def info(name, days=300, **changes):
    plane = name.startswith("cp")
    known = {"kubelet-client-current": {"days_left": 200, "life_days": 365}}
    if plane:
        known.update({one: {"days_left": days} for one in AUTHORITIES})
        known.update({one: {"days_left": 3000} for one in set(AUTHORITIES.values())})
    live = {"healthy": True, "uid": "u", "etcd_cluster": "7", "kubeadm_config": STORED} if plane else None
    cluster = {
        "kind": "kubeadm",
        "node_name": name,
        "kubelet_conf": True,
        "manifests": ["etcd.yaml", "kube-apiserver.yaml"] if plane else [],
        "certificates": known,
        "renewal": {"authorities": sorted(set(AUTHORITIES.values())), "outdated": {}, "borrowed": False},
        "live": live,
    }
    return {"cluster": {**cluster, **changes}, "clock": {"offset_seconds": 0.1}, "endpoint_drained": []}


@pytest.fixture
def infos():
    return {name: info(name) for name in HOSTS}


def planned(infos, refusals=(), planes=tuple(PLANES), kubeconfig=None, **options):
    cluster = {
        "name": "prod",
        "control_planes": list(planes),
        "workers": WORKERS,
        "nodes": {
            name: {"name": name, "role": "control_plane" if name in planes else "worker"}
            for name in [*planes, *WORKERS]
        },
        "refusals": list(refusals),
        "kubeconfig": kubeconfig,
        "leader": planes[0],
    }
    return operations.plan("rotate", cluster, infos, {**OPTIONS, **options})


def silent(infos, *names, days=-3):
    for name in names or PLANES:
        infos[name] = info(name, days)
        infos[name]["cluster"]["live"] = {"healthy": False, "error": "connection refused"}


def test_nothing_is_due(infos):
    made = planned(infos, kubeconfig={"state": "same"})
    assert made["idle"] and made["nodes"] == [] and made["refusals"] == []
    assert not any(made["stages"].values())
    assert made["tasks"] == ["nothing to renew: admin.conf on cp-1 has 300 days left, the limit is 120 (rotate_days)"]


def test_certificates_below_the_limit_and_what_reads_them(infos):
    infos["cp-2"]["cluster"]["certificates"]["etcd-peer"]["days_left"] = 119
    made = planned(infos)
    assert made["mode"] == "rolling" and made["tasks"] == [
        "cp-2: renew 1 certificate (etcd-peer has 119 days left), restart etcd"
    ]
    [row] = made["nodes"]
    assert (row["certificates"], row["kubelet"], row["healthy"], row["etcd_cluster"]) == (
        ["etcd-peer"],
        "none",
        True,
        "7",
    )
    assert made["stages"] == {"expired": [], "renew": HOSTS, "workers": [], "asked": [], "stay": HOSTS}
    assert made["private"]["config"] == STORED["ClusterConfiguration"]
    infos["cp-2"]["cluster"]["certificates"]["etcd-peer"]["days_left"] = 120
    assert planned(infos)["idle"]


def test_force_renews_all_and_the_kubeconfig_follows(infos):
    made = planned(infos, force=True, kubeconfig={"state": "kept"})
    assert [len(row["certificates"]) for row in made["nodes"]] == [len(AUTHORITIES)] * 3
    assert made["tasks"][0].endswith("restart etcd, kube-apiserver, kube-controller-manager, kube-scheduler")
    assert made["tasks"][-1] == "controller: update the kubeconfig" and made["stages"]["asked"] == ["cp-1"]
    assert planned(infos, force=True)["stages"]["asked"] == []


def test_the_leader_of_etcd_goes_last(infos):
    infos["cp-1"]["cluster"]["live"]["etcd_leader"] = "cp-1"
    assert [row["host"] for row in planned(infos, force=True)["nodes"]] == ["cp-2", "cp-3", "cp-1"]


def test_a_killed_run_is_finished(infos):
    infos["cp-3"]["cluster"]["renewal"]["outdated"] = {"kube-scheduler": "x", "etcd": "x"}
    infos["w-1"]["endpoint_drained"] = ["cp-1"]
    made = planned(infos)
    assert made["tasks"] == ["cp-1: return it to the API endpoints", "cp-3: restart etcd, kube-scheduler"]
    # Also one that has renewed all and did not get to the kubeconfig.
    made = planned({name: info(name) for name in HOSTS}, kubeconfig={"state": "changed"})
    assert made["tasks"] == ["controller: update the kubeconfig"] and not made["idle"]
    assert made["stages"]["renew"] == [] and made["stages"]["asked"] == ["cp-1"]


@pytest.mark.parametrize(
    ("known", "borrowed", "expected"),
    [
        ({"days_left": 200, "life_days": 365}, False, "none"),
        ({"days_left": 30, "life_days": 365}, False, "restart"),
        ({"days_left": -1, "life_days": 365}, False, "borrow"),
        ({"days_left": 0, "life_days": 1}, False, "none"),  # of a cluster whose kubelets get certificates for a day
        ({"days_left": 0}, False, "none"),
        ({"days_left": 0, "life_days": 0}, True, "borrow"),  # a killed run
        (None, False, "borrow"),
    ],
)
def test_what_a_kubelet_needs(infos, known, borrowed, expected):
    cluster = infos["w-1"]["cluster"]
    cluster["certificates"] = {"kubelet-client-current": known} if known else {}
    cluster["renewal"]["borrowed"] = borrowed
    made = planned(infos)
    assert [row["kubelet"] for row in made["nodes"]] == ([] if expected == "none" else [expected])
    assert made["stages"]["workers"] == ([] if expected == "none" else ["w-1"])
    assert made["private"]["borrowing"] == (["w-1"] if expected == "borrow" else [])


def test_an_expired_cluster_is_renewed_all_at_once(infos):
    silent(infos)
    for name in HOSTS:
        infos[name]["cluster"]["certificates"]["kubelet-client-current"]["days_left"] = -3
    made = planned(infos, kubeconfig={"state": "unknown"})
    assert made["mode"] == "offline" and made["refusals"] == []
    assert made["tasks"][0].startswith("The API does not answer, because certificates have expired")
    assert made["tasks"][1].startswith("cp-1: renew 11 certificates (apiserver expired 2 days ago)")
    assert made["tasks"][4] == "w-1: new client certificate for its kubelet (expired 2 days ago)"
    assert made["stages"] == {"expired": PLANES, "renew": [], "workers": ["w-1"], "asked": ["cp-1"], "stay": HOSTS}
    # The API does not say what the cluster's configuration is, so it is what the inputs set.
    assert made["private"]["config"] == OPTIONS["kubeadm_config"]


def test_one_control_plane_whose_certificates_have_expired_goes_first(infos):
    silent(infos, "cp-3")
    made = planned(infos, force=True)
    assert made["mode"] == "rolling" and made["refusals"] == []
    assert [(row["host"], row["healthy"]) for row in made["nodes"]] == [("cp-3", False), ("cp-1", True), ("cp-2", True)]


def test_a_silent_cluster_whose_certificates_are_valid_is_not_touched(infos):
    silent(infos, days=200)
    rows = described(planned(infos)["refusals"])
    assert rows == ["rotate.unhealthy node=%s value=connection refused" % name for name in PLANES]


def test_an_unhealthy_control_plane_of_a_running_cluster_is_not_passed_over(infos):
    silent(infos, "cp-2", days=200)
    made = planned(infos, force=True)
    assert described(made["refusals"]) == ["rotate.unhealthy node=cp-2 value=connection refused"]
    assert made["tasks"] == [] and made["stages"] == {}


def test_control_planes_that_were_not_looked_at(infos):
    del infos["cp-2"]
    assert described(planned(infos)["refusals"]) == ["rotate.silent_control_plane node=cp-2"]
    silent(infos, "cp-1", "cp-3")
    made = planned(infos)
    assert made["refusals"] == [] and described(made["warnings"]) == ["rotate.silent_node node=cp-2"]
    del infos["cp-3"]
    assert described(planned(infos)["refusals"]) == ["rotate.no_majority value=1 limit=2"]


def test_a_worker_that_was_not_looked_at_stays_as_it_is(infos):
    del infos["w-1"]
    made = planned(infos, force=True)
    assert made["refusals"] == [] and described(made["warnings"]) == ["rotate.silent_node node=w-1"]


def test_authorities(infos):
    known = infos["cp-1"]["cluster"]["certificates"]
    known["ca"]["days_left"], known["etcd-ca"]["days_left"] = 200, -1
    made = planned(infos)
    assert described(made["refusals"]) == ["rotate.authority_expired node=cp-1 value=etcd-ca"]
    assert described(made["warnings"]) == ["rotate.authority_ends node=cp-1 value=200 limit=365"]


def test_an_authority_without_its_key(infos):
    infos["cp-1"]["cluster"]["renewal"]["authorities"] = ["ca", "etcd-ca"]
    assert planned(infos)["refusals"] == []  # nothing of it is due
    found = described(planned(infos, force=True)["refusals"])
    assert found == ["rotate.external_authority node=cp-1 value=front-proxy-ca"]


def test_certificates_of_an_external_etcd_are_its_owners(infos):
    for name in PLANES:
        infos[name]["cluster"]["manifests"] = ["kube-apiserver.yaml"]
        infos[name]["cluster"]["renewal"]["authorities"] = ["ca", "front-proxy-ca"]
    made = planned(infos, force=True)
    assert made["refusals"] == [] and "apiserver-etcd-client" not in made["nodes"][0]["certificates"]


def test_a_wrong_clock_makes_certificates_look_expired(infos):
    silent(infos)
    infos["cp-1"]["clock"] = {"offset_seconds": 400 * 86400.0}
    assert described(planned(infos)["refusals"]) == ["rotate.clock node=cp-1 value=34560000 limit=86400"]


def test_what_is_not_done(infos):
    for what in ("ca", "keys"):
        found = described(planned(infos, what=what)["refusals"])
        assert found == ["rotate.unsupported_what value=%s limit=certificates" % what]
    assert described(planned({})["refusals"]) == ["rotate.no_cluster"]
    infos["cp-1"]["cluster"]["kind"] = "rke2"
    assert described(planned(infos)["refusals"]) == ["rotate.unsupported node=cp-1 value=rke2"]


def k3s(name, days=300, active="active", healthy=True):
    """Facts of a K3s node."""
    server = name.startswith("cp")
    names = ["agent/client-kubelet", *(["server/tls/client-admin", "server/tls/etcd/client"] if server else [])]
    found = info(name)
    found["cluster"].update(
        kind="k3s",
        certificates={one: {"days_left": days} for one in names},
        renewal=None,
        data_dir="/srv/k3s",
        live={"healthy": healthy, "error": None if healthy else "connection refused"} if server else None,
    )
    found["installed"] = {"k3s": {"path": "/opt/k3s"}}
    found["services"] = {"k3s" if server else "k3s-agent": {"active": active}}
    return found


def test_k3s_renews_all_of_a_node(infos):
    infos = {name: k3s(name, 100 if name in ("cp-2", "w-1") else 300) for name in HOSTS}
    made = planned(infos, kubeconfig={"state": "same"})
    assert made["refusals"] == [] and made["kind"] == "k3s"
    assert made["tasks"] == [
        "cp-2: renew 3 certificates (agent/client-kubelet has 100 days left), restart k3s",
        "w-1: renew 1 certificate (agent/client-kubelet has 100 days left), restart k3s-agent",
        "controller: update the kubeconfig",
    ]
    assert made["stages"] == {"expired": [], "renew": HOSTS, "workers": ["w-1"], "asked": ["cp-1"], "stay": HOSTS}
    row = made["nodes"][0]
    assert (row["unit"], row["data_dir"], row["program"]) == ("k3s", "/srv/k3s", "/opt/k3s")
    assert planned({name: k3s(name) for name in HOSTS})["idle"]


def test_an_expired_k3s_cluster(infos):
    infos = {name: k3s(name, -3, healthy=False) for name in HOSTS}
    made = planned(infos)
    assert made["mode"] == "offline" and made["refusals"] == [] and made["stages"]["expired"] == PLANES
    infos["cp-1"] = k3s("cp-1", 200, healthy=False)
    assert len(planned(infos)["nodes"][0]["certificates"]) == 3


def test_a_killed_run_of_k3s_leaves_a_server_that_is_stopped(infos):
    infos = {name: k3s(name) for name in HOSTS}
    infos["cp-2"] = k3s("cp-2", active="inactive", healthy=False)
    made = planned(infos)
    assert made["refusals"] == [] and made["tasks"] == ["cp-2: restart k3s"]


def test_problems_of_the_plan_that_concern_it(infos):
    row = {"text": "x", "node": None, "value": None, "limit": None}
    kept, other = {"id": "member.foreign", **row}, {"id": "version.no_upgrade", **row}
    assert planned(infos, [kept, other])["refusals"] == [kept]
    infos["cp-3"]["cluster"]["live"]["uid"] = "other"
    assert described(planned(infos)["refusals"]) == ["member.several_clusters value=['other', 'u']"]


def test_a_limit_that_leaves_out_nodes(infos):
    found = described(planned(infos, force=True, part=PLANES)["refusals"])
    assert found == ["limit.left_out node=w-1"]
    infos["w-1"]["cluster"]["certificates"] = {}
    assert planned(infos, part=["w-1"])["refusals"] == []


def test_a_gap_is_announced(infos):
    one = {name: copy.deepcopy(infos[name]) for name in ("cp-1", "w-1")}
    made = planned(one, planes=["cp-1"], force=True, part=["cp-1", "w-1"])
    assert described(made["warnings"]) == ["rotate.gap value=1 limit=3"]
    assert planned(one, planes=["cp-1"])["warnings"] == []


def test_it_is_shown(infos):
    lines = plan_text.text({"nodes": {}, "operation": planned(infos, force=True)})
    assert lines[0] == "Rotate:" and lines[1].startswith("  cp-1: renew 11 certificates")
    assert lines[-1] == "Next: kubewright.cluster.rotate"


@pytest.mark.parametrize(
    ("known", "text"),
    [
        ({"kind": "self_signed", "days_left": 119}, "has 119 days left"),
        ({"kind": "self_signed", "days_left": -3}, "expired 2 days ago"),
        ({"kind": "self_signed", "days_left": 300, "waits": True}, "is not used yet"),
        ({"kind": "self_signed", "days_left": 120}, None),
        ({"kind": "signed", "days_left": 100}, None),
        ({"kind": "given", "days_left": -3}, None),
        ({"kind": "none", "days_left": -20000}, None),
        (None, None),
    ],
)
def test_a_kubelets_serving_certificate(infos, known, text):
    infos["w-1"]["cluster"]["renewal"]["serving"] = known and {"life_days": 365, "waits": False, **known}
    made = planned(infos)
    assert [row["serving"] for row in made["nodes"]] == ([True] if text else [])
    assert made["stages"]["workers"] == (["w-1"] if text else [])
    if text:
        assert made["tasks"] == ["w-1: new serving certificate for its kubelet (%s)" % text]
    warned = {"given": "kubelet_serving", "none": "kubelet_serves_none"}.get((known or {}).get("kind"))
    assert [row["id"] for row in made["warnings"]] == (["certificates." + warned] if warned else [])
