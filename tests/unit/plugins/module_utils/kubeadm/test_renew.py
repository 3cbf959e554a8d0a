# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The renewal on a control plane: kubeadm's commands, restarts in their order, the proof, and borrowed identities."""

from __future__ import annotations

import base64
import json
import os
import time

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import Result
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm import kubelet_identity, renew, static_pods
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.renew import Renewal
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.runner import STATIC_PODS, KubeadmError
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.kubeadm.test_runner import Machine

MANIFEST = "- --advertise-address=192.0.2.11\n- --secure-port=6443\nimage: registry.k8s.io/kube-apiserver:v1.36.3\n"
CONFIG = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nencryptionAlgorithm: ECDSA-P256\n"
FILE_FORM = """users:
- name: default-auth
  user:
    client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem
    client-key: /var/lib/kubelet/pki/kubelet-client-current.pem
"""


class Plane(Machine):
    """A control plane whose kubelet starts a container again when it ends."""

    def __init__(self, root):
        super().__init__(root)
        self.rows = {kind: [("%s-1" % kind, True)] for kind in STATIC_PODS}
        self.kubelet, self.stuck, self.problem = True, "", ""
        for kind in STATIC_PODS:
            (root / ("etc/kubernetes/manifests/%s.yaml" % kind)).write_text(MANIFEST)

    def fake(self, argv, **options):
        done = super().fake(argv, **options)
        if argv[0].endswith("crictl"):
            return self.crictl(argv[1:])
        return done

    def crictl(self, words):
        key = words[-1]
        if words[0] == "ps":
            return Result(0, json.dumps({"containers": [self.row(*item) for item in self.containers()]}))
        kind = key.rpartition("-")[0]
        if words[0] == "stop" and kind != self.stuck:
            self.rows[kind] = [(one, runs and one != key) for one, runs in self.rows[kind]]
        if words[0] == "rm":
            self.rows[kind] = [row for row in self.rows[kind] if row[0] != key]
            if self.kubelet and not self.rows[kind]:
                self.rows[kind] = [("%s-%d" % (kind, int(key.rpartition("-")[2]) + 1), True)]
        return Result(1 if kind == self.stuck else 0, "", "timed out")

    def containers(self):
        return [(kind, key, runs) for kind in STATIC_PODS for key, runs in self.rows[kind]]

    def row(self, kind, key, runs):
        labels = {"io.kubernetes.pod.name": kind + "-cp-1", "io.kubernetes.pod.uid": "hash"}
        state = "CONTAINER_RUNNING" if runs else "CONTAINER_EXITED"
        return {"id": key, "metadata": {"name": kind}, "state": state, "createdAt": "1", "labels": labels}

    def api_problem(self):
        return self.problem

    def did(self, word):
        return [line for line in self.commands if word in line]


@pytest.fixture
def plane(tmp_path, monkeypatch):
    made = Plane(tmp_path)
    monkeypatch.setattr(renew.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(renew.etcd, "local", lambda _root: made.etcd)
    made.etcd = Etcd()
    made.files = {}

    def read(path):
        name = path.rpartition("/")[2]
        return made.files.get(name)

    monkeypatch.setattr(renew.certificates, "read", read)
    return made


class Etcd:
    """This node's member."""

    def __init__(self):
        self.own_id, self.leader, self.moved, self.servers = "1", "1", [], ["https://127.0.0.1:2379"]
        self.rows = [{"ID": "1", "name": "cp-1"}, {"ID": "2", "name": "cp-2", "isLearner": True}, {"ID": "3"}]

    def members(self):
        return self.rows

    def own_status(self):
        return {"leader": self.leader}

    def move_leader(self, leader, target):
        self.moved.append((leader["clientURLs"], target["ID"]))


def renewal(plane, timeout=5):
    return Renewal(plane, "cp-1", timeout)


def test_some_certificates_are_renewed_by_their_names_with_the_clusters_configuration(plane):
    plane.effects = {"kubeadm certs renew apiserver": lambda: plane.files.update({"apiserver.crt": "new"})}
    plane.files = {"apiserver.crt": "old"}
    plane.make("pki/apiserver.crt", "pki/front-proxy-client.crt")
    renewal(plane).renew(["apiserver"], CONFIG)
    assert plane.did("renew") == ["kubeadm certs renew apiserver --config FILE"]
    [text] = plane.configs
    assert "ECDSA-P256" in text and "kubernetesVersion: v1.36.3" in text
    assert "advertiseAddress: '192.0.2.11', bindPort: 6443" in text and "name: 'cp-1'" in text


def test_all_of_them_are_renewed_by_one_command(plane):
    plane.make("pki/apiserver.crt", "admin.conf")
    renewal(plane).renew(["admin.conf", "apiserver"], "")
    assert plane.did("renew") == ["kubeadm certs renew all --config FILE"]
    assert "kind: ClusterConfiguration" in plane.configs[0]
    renewal(plane).renew([], "")
    assert len(plane.did("renew")) == 1


def test_a_certificate_that_kubeadm_leaves_as_it_was_is_an_error(plane):
    plane.files = {"apiserver.crt": "old"}
    with pytest.raises(KubeadmError, match="did not renew apiserver on cp-1"):
        renewal(plane).renew(["apiserver"], "")


def test_static_pods_are_restarted_in_their_order_and_leave_nothing_behind(plane):
    done = renewal(plane).restart(["kube-scheduler", "kube-apiserver", "etcd"])
    assert done == ["etcd", "kube-apiserver", "kube-scheduler"]
    stopped = [line.rpartition(" ")[2] for line in plane.did("crictl stop")]
    assert stopped == ["etcd-1", "kube-apiserver-1", "kube-scheduler-1"]
    assert [key for _kind, key, _runs in plane.containers()] == [
        "kube-apiserver-2",
        "kube-controller-manager-1",
        "kube-scheduler-2",
        "etcd-2",
    ]
    # Another member that votes leads before this one ends.
    assert plane.etcd.moved == [(["https://127.0.0.1:2379"], "3")]


def test_a_member_that_does_not_lead_moves_nothing(plane):
    plane.etcd.leader = "3"
    renewal(plane).restart(["etcd"])
    assert plane.etcd.moved == []


def test_a_node_without_its_own_etcd(plane):
    (plane.place / "etc/kubernetes/manifests/etcd.yaml").unlink()
    assert renewal(plane).restart(["etcd", "kube-apiserver"]) == ["kube-apiserver"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kubelet": False}, "the kubelet has not started kube-apiserver again within 0 s"),
        ({"problem": "refused"}, "cp-1: refused within 0 s"),
        ({"stuck": "kube-apiserver"}, "kube-apiserver on cp-1 does not stop: timed out"),
    ],
)
def test_what_does_not_come_back_is_named(plane, change, message):
    for name, value in change.items():
        setattr(plane, name, value)
    with pytest.raises(KubeadmError, match=message):
        renewal(plane, 0).restart(["kube-apiserver"])


def test_containers_that_have_ended_go_so_that_the_kubelet_does_not_wait(plane):
    plane.rows["kube-controller-manager"] = [("kube-controller-manager-7", False)]
    static_pods.stop(plane, "cp-1", "kube-controller-manager", 30)
    assert plane.rows["kube-controller-manager"] == [("kube-controller-manager-8", True)]
    assert plane.did("crictl stop") == []


def test_all_end_at_once(plane):
    plane.kubelet = False
    renewal(plane).stop_all()
    assert plane.containers() == []


@pytest.fixture
def kubelet(monkeypatch, plane):
    """What was done to the kubelet."""
    done = []

    class Manager:
        def stop(self, _name):
            done.append("stop")
            return Result(0)

        def start(self, _name, restart):
            there = (plane.place / paths.KUBELET_CLIENT[1:]).exists()
            done.append("start with a certificate" if there else "start")
            return Result(0)

    monkeypatch.setattr(kubelet_identity.services, "here", Manager)
    return done


@pytest.fixture
def serving(monkeypatch, plane):
    rows = [renew.certificates.Served("etcd", "etcd-server", "127.0.0.1", 2379, "0A", True)]
    monkeypatch.setattr(renew.certificates, "served", lambda _root: rows)
    monkeypatch.setattr(renew.certificates, "outdated", lambda _root: plane.old)
    monkeypatch.setattr(renew.certificates, "processes", lambda: dict.fromkeys(plane.started, 1.0))
    plane.old, plane.started = {}, list(STATIC_PODS)
    return rows


def test_the_proof_names_what_is_served(plane, serving):
    expected = {"component": "etcd", "name": "etcd-server", "port": 2379, "serial": "0A"}
    assert renewal(plane).prove() == [expected]


def test_no_proof_where_a_process_has_old_files_or_nothing_answers(plane, serving):
    plane.old = {"kube-scheduler": "was started before x was written"}
    with pytest.raises(KubeadmError, match="cp-1: kube-scheduler was started before x was written within 0 s"):
        renewal(plane, 0).prove()
    plane.old, serving[0] = {}, serving[0]._replace(serial="")
    with pytest.raises(KubeadmError, match="etcd does not answer"):
        renewal(plane, 0).prove()


def test_no_proof_where_a_static_pod_does_not_run(plane, serving):
    plane.started.remove("kube-scheduler")
    with pytest.raises(KubeadmError, match="kube-scheduler does not run"):
        renewal(plane, 0).prove()


# -- the kubelet -------------------------------------------------------------------------------------------------------


def user(certificate="CERT", key="KEY"):
    lines = ["certificate-authority-data: QQ==", "client-certificate-data: %s", "client-key-data: %s"]
    data = tuple(base64.b64encode(text.encode()).decode() for text in (certificate, key))
    return "W1130 a warning\napiVersion: v1\nkind: Config\n" + "\n".join(lines) % data


def test_short_lived_certificates_are_made_for_nodes_only(plane):
    plane.answers = {"kubeadm kubeconfig user": Result(0, user())}
    found = kubelet_identity.lend(plane, "cp-1", CONFIG, ["w-1", "w-2"])
    assert found == dict.fromkeys(["w-1", "w-2"], {"certificate": "CERT", "key": "KEY"})
    assert plane.did("kubeconfig user")[0] == (
        "kubeadm kubeconfig user --config FILE --client-name system:node:w-1 --org system:nodes --validity-period 1h"
    )
    assert kubelet_identity.lend(plane, "cp-1", CONFIG, []) == {}


def test_no_certificate_is_an_error_without_secrets(plane):
    plane.answers = {"kubeadm kubeconfig user": Result(0, "apiVersion: v1\n")}
    with pytest.raises(KubeadmError, match="made none for w-1"):
        kubelet_identity.lend(plane, "cp-1", CONFIG, ["w-1"])


def test_a_kubelet_borrows_and_gives_back(plane, kubelet):
    conf, pem = plane.place / "etc/kubernetes/kubelet.conf", plane.place / paths.KUBELET_CLIENT[1:]
    conf.write_text(FILE_FORM)
    pem.write_text("expired")
    kubelet_identity.borrow(plane, {"certificate": "CERT", "key": "KEY"})
    text = conf.read_text()
    assert "    client-certificate-data: Q0VSVA==\n    client-key-data: S0VZ\n" in text
    # What was finished stays finished: a killed run does not make the node look half joined.
    assert kubelet_identity.is_borrowed(plane) and plane.is_finished() and conf.stat().st_mode & 0o777 == 0o600
    kubelet_identity.restart(plane)
    # It is stopped before it could find the borrowed one and take it for its own.
    assert kubelet == ["stop", "stop", "start"] and not pem.exists()
    kubelet_identity.borrow(plane, {"certificate": "CERT2", "key": "KEY"})
    assert conf.read_text().count("#") == 1
    kubelet_identity.give_back(plane)
    assert conf.read_text() == FILE_FORM
    kubelet_identity.give_back(plane)
    assert conf.read_text() == FILE_FORM


def test_a_kubelet_with_a_valid_certificate_keeps_it_over_a_restart(plane, kubelet):
    plane.identify()
    kubelet_identity.restart(plane)
    assert kubelet == ["start with a certificate"]


def test_a_kubelet_that_took_the_borrowed_certificate_for_its_own_is_started_again(plane, kubelet, monkeypatch):
    conf, pem = plane.place / "etc/kubernetes/kubelet.conf", plane.place / paths.KUBELET_CLIENT[1:]
    conf.write_text(FILE_FORM)
    kubelet_identity.borrow(plane, {"certificate": "CERT", "key": "KEY"})
    pem.write_text("borrowed")
    moments = iter([0.0, 1.0, 30.0, 30.0])
    monkeypatch.setattr(kubelet_identity.time, "monotonic", lambda: next(moments))
    answers = iter(["not yet", "not yet", ""])
    monkeypatch.setattr(kubelet_identity, "problem", lambda _runner, _former: next(answers))

    def wait(ask):
        while ask():
            pass

    kubelet_identity.settle(plane, "digest", wait)
    assert kubelet == ["stop", "stop", "start"] and conf.read_text() == FILE_FORM


def test_a_kubeconfig_of_another_form_is_not_touched(plane, kubelet):
    conf = plane.place / "etc/kubernetes/kubelet.conf"
    conf.write_text("users: []\n")
    with pytest.raises(KubeadmError, match="does not have one client certificate"):
        kubelet_identity.borrow(plane, {"certificate": "CERT", "key": "KEY"})
    assert conf.read_text() == "users: []\n" and kubelet == []


def test_the_kubelet_must_have_another_valid_certificate(plane):
    make = renew.certificates.Certificate
    assert "has no client certificate" in kubelet_identity.problem(plane, "a")
    plane.files = {"kubelet-client-current.pem": make(0, 10, "1", "a")}
    assert "has expired" in kubelet_identity.problem(plane, "a")
    plane.files = {"kubelet-client-current.pem": make(0, int(time.time()) + 99, "1", "a")}
    assert "its own client certificate" in kubelet_identity.problem(plane, "a")
    assert kubelet_identity.problem(plane, "b") == "" and kubelet_identity.former_of(plane) == "a"


@pytest.fixture
def pair(plane, monkeypatch):
    """The files of the certificate that the kubelet serves; `serves` is what it serves."""
    found = [plane.place / path[1:] for path in paths.KUBELET_SERVING]
    found[0].parent.mkdir(parents=True, exist_ok=True)
    for path in found:
        path.write_text(path.name)
    made = renew.certificates.Certificate

    def read(path):
        return made(0, 1, "0A", open(path, encoding="utf-8").read()) if os.path.exists(path) else None

    plane.serves = "kubelet.crt"
    monkeypatch.setattr(kubelet_identity.certificates, "read", read)
    monkeypatch.setattr(kubelet_identity.kubelet, "served", lambda: made(0, 1, "0A", plane.serves))
    return found


def test_the_kubelet_makes_its_serving_certificate_again(plane, kubelet, pair):
    kubelet_identity.put_serving_aside(plane)
    assert not any(path.exists() for path in pair)
    with pytest.raises(KubeadmError, match="the kubelet has not made its serving certificate"):
        kubelet_identity.settle_serving(plane, renewal(plane, 0).wait)
    pair[0].write_text("new")
    with pytest.raises(KubeadmError, match="does not serve the certificate in /var/lib/kubelet/pki/kubelet.crt"):
        kubelet_identity.settle_serving(plane, renewal(plane, 0).wait)
    plane.serves = "new"
    kubelet_identity.settle_serving(plane, renewal(plane, 0).wait)
    assert [path.name for path in pair[0].parent.iterdir() if "kubelet." in path.name] == ["kubelet.crt"]


def test_half_of_the_pair_would_keep_the_kubelet_from_starting(plane, pair):
    """A run was killed between the two."""
    pair[0].replace(str(pair[0]) + ".former")
    kubelet_identity.put_serving_aside(plane)
    assert not any(path.exists() for path in pair)


def test_a_serving_certificate_that_stays_is_not_waited_for(plane, pair):
    plane.serves = "something else"
    kubelet_identity.settle_serving(plane, renewal(plane, 0).wait)
    assert all(path.exists() for path in pair)


def test_a_certificate_that_is_not_a_link_would_never_be_replaced(plane, kubelet):
    pem = plane.place / paths.KUBELET_CLIENT[1:]
    pem.parent.mkdir(parents=True, exist_ok=True)
    pem.write_text("CERT")
    kubelet_identity.restart(plane)
    assert pem.is_symlink() and pem.read_text() == "CERT" and kubelet == ["start with a certificate"]
    kubelet_identity.restart(plane)
    assert pem.is_symlink() and pem.read_text() == "CERT"
