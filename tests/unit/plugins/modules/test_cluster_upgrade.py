# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node says before an upgrade, with kubeadm and with K3s."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api.kubernetes import ApiError
from ansible_collections.kubewright.cluster.plugins.modules import cluster_upgrade


class Work:
    """kubeadm's side."""

    def __init__(self, _runner, _gate):
        pass

    def settle(self, timeout):
        return "kubeadm still runs after %d s" % timeout


@pytest.mark.parametrize(
    "here,expected", [("K3s", "its API is not ready"), ("Kubeadm", "kubeadm still runs after 5 s")]
)
def test_a_killed_run_is_waited_for_as_the_distribution_needs_it(run_module, monkeypatch, here, expected):
    found = getattr(cluster_upgrade.paths, here)()
    monkeypatch.setattr(cluster_upgrade.paths, "here", lambda: found)
    monkeypatch.setattr(cluster_upgrade.k3s, "settle", lambda timeout: "its API is not ready" if timeout == 5 else "")
    monkeypatch.setattr(cluster_upgrade, "Upgrade", Work)
    done = run_module(cluster_upgrade, state="settled", timeout=5, check=True)
    assert done["problem"] == expected and not done["changed"]


class Lock:
    def __init__(self, _api, holder):
        self.holder = holder

    def held_by_another(self):
        other = cluster_upgrade.ApiError("bob is changing this cluster")
        other.run = "2"
        return other


def test_the_cluster_is_asked_for_etcd_servers_and_the_lock(run_module, monkeypatch):
    seen = {}

    def facts(api, client, servers, drained):
        seen.update(api=api, client=client, servers=[name for name, _api in servers], drained=drained)
        return {"members": []}

    monkeypatch.setattr(cluster_upgrade.removal, "api", lambda: "api")
    monkeypatch.setattr(cluster_upgrade.removal, "client", lambda: None)
    monkeypatch.setattr(cluster_upgrade, "Api", lambda places: places)
    monkeypatch.setattr(cluster_upgrade, "Lock", Lock)
    monkeypatch.setattr(cluster_upgrade.upgrade_facts, "facts", facts)
    asked = {"state": "asked", "servers": {"s2": "[fd00::2]:6443", "s1": "10.0.0.1:6443"}, "drained": ["s1"]}
    done = run_module(cluster_upgrade, **asked, holder={"name": "a", "operation": "upgrade", "run": "1"})
    assert done["cluster"] == {"members": [], "lock": "bob is changing this cluster"} and done["lock_run"] == "2"
    assert seen == {"api": "api", "client": None, "servers": ["s1", "s2"], "drained": ["s1"]}
    known = run_module(cluster_upgrade, **asked, holder={"name": "a", "operation": "u", "run": "1", "dead": "2"})
    assert known["cluster"]["lock"] == ""


def test_an_api_that_does_not_answer_fails(run_module, monkeypatch):
    def refused():
        raise ApiError("refused")

    monkeypatch.setattr(cluster_upgrade.removal, "api", refused)
    done = run_module(cluster_upgrade, state="asked")
    assert done["failed"] and done["msg"] == "refused"
