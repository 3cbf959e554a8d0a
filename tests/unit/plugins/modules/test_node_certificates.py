# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_certificates: what each state does, in which order, and that check mode does nothing."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm import kubelet_identity
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.gate import Gate
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.renew import Renewal
from ansible_collections.kubewright.cluster.plugins.module_utils.kubeadm.runner import KubeadmError, Runner
from ansible_collections.kubewright.cluster.plugins.modules import node_certificates

LENT = {"certificate": "C", "key": "SECRET"}


@pytest.fixture
def done(monkeypatch):
    """What was done, in order."""
    calls = []

    def note(name, answer=None):
        def call(*arguments):
            calls.append((name, *arguments[1:]))
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    for name, answer in (("renew", None), ("stop_all", None), ("prove", [{"serial": "0A"}])):
        monkeypatch.setattr(Renewal, name, note(name, answer))
    monkeypatch.setattr(Renewal, "restart", note("restart", ["etcd"]))
    monkeypatch.setattr(Gate, "wait", note("gate"))
    monkeypatch.setattr(Runner, "wait_api", note("api"))
    monkeypatch.setattr(Runner, "last_words", lambda _self: "")
    monkeypatch.setattr(kubelet_identity, "lend", lambda _run, _own, _config, names: dict.fromkeys(names, LENT))
    monkeypatch.setattr(kubelet_identity, "borrow", lambda _run, identity: calls.append(("borrow", identity)))
    monkeypatch.setattr(kubelet_identity, "restart", lambda _run: calls.append(("kubelet",)))
    monkeypatch.setattr(kubelet_identity, "former_of", lambda _run: "digest")
    monkeypatch.setattr(kubelet_identity, "is_borrowed", lambda _run: True)
    monkeypatch.setattr(kubelet_identity, "put_serving_aside", lambda _run: calls.append(("aside",)))
    monkeypatch.setattr(kubelet_identity, "settle_serving", lambda _run, _wait: calls.append(("serving",)))
    monkeypatch.setattr(kubelet_identity, "settle", lambda _run, former, _wait: calls.append(("settle", former)))
    return calls


def names(done):
    return [row[0] for row in done]


def without_serving(done):
    return [name for name in names(done) if name != "serving"]


def test_a_control_plane_that_serves(run_module, done):
    found = run_module(node_certificates, state="renewed", node_name="cp-1", names=["etcd-peer"], restarts=["etcd"])
    assert without_serving(done) == ["gate", "renew", "restart", "prove", "gate"]
    assert done[1] == ("renew", ["etcd-peer"], "") and done[2] == ("restart", ["etcd", "etcd"])
    assert found["changed"] and found["restarted"] == ["etcd"] and found["served"] == [{"serial": "0A"}]


def test_one_that_does_not_serve_is_not_waited_for_first(run_module, done):
    run_module(
        node_certificates, state="renewed", node_name="cp-1", names=["apiserver"], healthy=False, kubelet="borrow"
    )
    assert without_serving(done) == ["renew", "borrow", "kubelet", "restart", "settle", "prove", "gate"]


def test_all_at_once(run_module, done):
    run_module(node_certificates, state="renewed", node_name="cp-1", wait=False, kubelet="borrow")
    assert without_serving(done) == ["renew", "borrow", "stop_all", "kubelet"]
    done.clear()
    run_module(node_certificates, state="serving", node_name="cp-1")
    assert without_serving(done) == ["api", "settle", "prove", "gate"]


def test_a_kubelet_gets_its_own_certificate(run_module, done):
    run_module(node_certificates, state="kubelet", node_name="w-1", kubelet="borrow", lent=LENT)
    assert without_serving(done) == ["borrow", "kubelet", "settle", "gate"]
    done.clear()
    run_module(node_certificates, state="kubelet", node_name="w-1", kubelet="restart")
    assert without_serving(done) == ["kubelet", "settle", "gate"]
    failed = run_module(node_certificates, state="kubelet", node_name="w-1", kubelet="borrow")
    assert failed["failed"] and "no certificate was made for w-1" in failed["msg"]


def test_certificates_are_lent(run_module, done):
    found = run_module(node_certificates, state="lent", node_name="cp-1", names=["w-1"])
    assert found["lent"] == {"w-1": LENT} and found["changed"]
    assert run_module(node_certificates, state="lent", node_name="cp-1")["changed"] is False


@pytest.mark.parametrize("state", sorted(node_certificates.STATES))
def test_check_mode_does_nothing(run_module, done, state):
    found = run_module(node_certificates, check=True, state=state, node_name="cp-1", names=["x"], kubelet="borrow")
    assert done == [] and found["changed"] == (state != "serving")


def test_a_failure_is_said_once(run_module, done, monkeypatch):
    def fail(_self, _names, _config):
        raise KubeadmError("kubeadm certs renew: no")

    monkeypatch.setattr(Renewal, "renew", fail)
    found = run_module(node_certificates, state="renewed", node_name="cp-1", names=["x"])
    assert found["failed"] and found["msg"] == "kubeadm certs renew: no" and names(done) == ["gate"]


def test_a_kubelet_serves_another_certificate(run_module, done):
    run_module(node_certificates, state="kubelet", node_name="w-1", serving=True)
    assert names(done) == ["aside", "kubelet", "settle", "serving", "gate"] and ("settle", "") in done
    done.clear()
    run_module(node_certificates, state="renewed", node_name="cp-1", serving=True)
    assert names(done) == ["gate", "renew", "restart", "aside", "kubelet", "serving", "prove", "gate"]
    done.clear()
    run_module(node_certificates, state="renewed", node_name="cp-1", serving=True, wait=False)
    assert names(done) == ["renew", "aside", "stop_all", "kubelet"]
