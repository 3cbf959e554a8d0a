# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The renewal of a K3s node's certificates: stopped, moved away by K3s's own command, all new afterwards."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base.commands import Result
from ansible_collections.kubewright.cluster.plugins.module_utils.detect import renewal
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s import renew
from ansible_collections.kubewright.cluster.plugins.module_utils.k3s.tokens import K3sError
from ansible_collections.kubewright.cluster.tests.unit.fixtures.recording import Files

NAMES = ["server/tls/client-admin", "agent/client-kubelet"]


@pytest.fixture
def node(tmp_path, monkeypatch, authority):
    """A node with certificates: make(name) writes another one. done: what was done to it."""

    def make(name):
        path = tmp_path / (name + ".crt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(authority.issue(name)[0])

    make.place, make.done, make.answer = str(tmp_path), [], Result(0)

    class Manager:
        def start(self, unit, restart):
            make.done.append(("start", unit, restart))
            return Result(0)

    def run(argv, **options):
        assert options["clean"]
        make.done.append(tuple(argv))
        return make.answer

    monkeypatch.setattr(renew.runner, "stop", lambda unit: make.done.append(("stop", unit)))
    monkeypatch.setattr(renew.services, "here", Manager)
    monkeypatch.setattr(renew.commands, "run", run)
    for name in NAMES:
        make(name)
    return make


def test_it_is_stopped_before_its_command_moves_them_away(node):
    renew.rotate("k3s", "/opt/k3s", "/srv/k3s")
    assert node.done == [("stop", "k3s"), ("/opt/k3s", "certificate", "rotate", "--data-dir", "/srv/k3s")]


def test_it_runs_again_where_the_command_fails(node):
    node.answer = Result(1, "", "level=fatal msg=no")
    with pytest.raises(K3sError, match="k3s certificate rotate failed, and k3s-agent was started again: .*no"):
        renew.rotate("k3s-agent", "/opt/k3s", "/srv/k3s")
    assert node.done[-1] == ("start", "k3s-agent", False)


def test_all_must_be_new(node, tmp_path):
    former = renew.digests(node.place, NAMES)
    assert "client-admin, agent/client-kubelet" in renew.problem(node.place, former)
    node(NAMES[0])
    assert renew.problem(node.place, former).endswith("(agent/client-kubelet)")
    (tmp_path / "agent/client-kubelet.crt").unlink()
    assert renew.problem(node.place, former).endswith("(agent/client-kubelet)")
    node(NAMES[1])
    assert renew.problem(node.place, former) == ""
    (tmp_path / "server/db/etcd/member").mkdir(parents=True)
    assert renew.problem(node.place, former).startswith("etcd does not serve the certificate in")


def test_its_authorities_are_not_certificates_that_are_renewed():
    class Machine(Files):
        def expires(self, path):
            return "Nov 25 07:59:00 2027 GMT"

    names = ["server-ca", "client-ca.nochain", "root-ca", "client-ca", "request-header-ca", "serving-kube-apiserver"]
    files = {"/srv/k3s/server/tls/%s.crt" % name: "x" for name in names}
    files.update({"/srv/k3s/server/tls/etcd/%s.crt" % name: "x" for name in ("peer-ca", "server-client")})
    files.update({"/srv/k3s/agent/%s.crt" % name: "x" for name in ("client-ca", "client-kubelet")})
    found = renewal.k3s(Machine(files), "/srv/k3s", 1795594158.0)
    assert list(found) == ["server/tls/serving-kube-apiserver", "server/tls/etcd/server-client", "agent/client-kubelet"]
    assert found["agent/client-kubelet"]["days_left"] == 364
