# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a control plane's own API server says, as far as it is read here."""

from __future__ import annotations

import json

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import backup_record, lock
from ansible_collections.kubewright.cluster.plugins.module_utils.detect import live
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths
from ansible_collections.kubewright.cluster.tests.unit.fixtures.recording import Files


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ('kind: KubeProxyConfiguration\nmode: "nftables"\nnodePort: []\n', "nftables"),
        ("mode: iptables\n", "iptables"),
        ('logging:\n  mode: x\nmode: ""\n', "iptables"),
        ("kind: KubeProxyConfiguration\n", "iptables"),
    ],
)
def test_the_proxys_mode_is_upstreams_default_where_none_is_named(text, mode):
    assert live.proxy_mode({"data": {"config.conf": text}}) == mode
    assert live.proxy_mode({}) == "iptables"


@pytest.mark.parametrize(("own", "loopback"), [("10.0.0.1", "127.0.0.1"), ("fd00::1", "::1")])
def test_the_own_etcd_member_is_asked_at_the_loopback_address_of_the_nodes_family(own, loopback):
    asked = []

    class Answers(Files):
        def ask(self, server, *_arguments, **_named):
            asked.append(server["address"])
            return 200, '{"members": [{"ID": "1", "name": "cp-1"}]}'

    manifest = "    - --advertise-address=%s\n    - --secure-port=6443\n" % own
    files = {live.ETCD + "healthcheck-client.crt": "", paths.API_SERVER_MANIFEST: manifest}
    assert [row["name"] for row in live._etcd(Answers(files))["etcd_members"]] == ["cp-1"] and asked == [loopback]
    assert live.address(manifest) == {"address": own, "port": 6443}


MEMBERS = """{"header": {"cluster_id": "7"}, "members": [{"ID": "1", "name": "cp-1-0a1b2c3d",
"peerURLs": ["https://10.0.0.11:2380"], "clientURLs": ["https://10.0.0.11:2379"]}]}"""


@pytest.mark.parametrize(("services", "loopback"), [("10.43.0.0/16", "127.0.0.1"), ("fd00::/112", "::1")])
@pytest.mark.parametrize("etcd", [(200, MEMBERS), (503, "no leader")])
def test_a_k3s_server_says_of_which_etcd_cluster_it_is(services, loopback, etcd):
    """Two clusters that were restored from one snapshot have one UID: only the ID of etcd's cluster differs."""
    asked = []

    class Answers(Files):
        def ask(self, server, method, path, *_arguments, **_named):
            if path != "/v3/cluster/member/list":
                raise OSError("refused")
            asked.append((server["address"], server["port"], server["certificate"]))
            return etcd

    files = {"/srv/k3s/server/db/etcd/member": "", paths.K3S_CONFIG: "service-cidr:\n- %s\n" % services}
    found = live.k3s(Answers(files), 6443, "/srv/k3s")
    assert asked == [(loopback, 2382, "/srv/k3s/server/tls/etcd/client.crt")]
    if etcd[0] == 200:
        assert found["etcd_cluster"] == "7"
        assert found["etcd_members"] == [
            {"id": "1", "name": "cp-1", "learner": False, "peer_urls": ["https://10.0.0.11:2380"]}
        ]
    else:
        assert found["etcd_cluster"] is None and "HTTP 503" in found["etcd_error"]


def test_a_k3s_server_without_embedded_etcd_is_not_asked_for_it():
    class Silent(Files):
        def ask(self, server, method, path, *_arguments, **_named):
            assert "/v3/" not in path
            raise OSError("refused")

    assert live.k3s(Silent({}), 6443, "/srv/k3s")["etcd_cluster"] is None


def test_lists_without_an_item_are_empty():
    """The API server writes "items": null for a list of metadata, such as the Deployments before kubeadm's addons."""
    answers = {
        "/readyz": "ok",
        "/version": '{"gitVersion": "v1.36.3"}',
        "/api/v1/namespaces/kube-system": '{"metadata": {"uid": "1"}}',
        "/api/v1/nodes": '{"items": []}',
        "/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app%3Dkube-dns": '{"items": null}',
    }

    class Young(Files):
        def ask(self, server, method, path, *_arguments, **_named):
            if path.endswith("/kubewright-manifests"):
                return 404, '{"reason": "NotFound", "details": {"name": "kubewright-manifests"}}'
            return 200, answers.get(path, '{"items": null}')

    found = live._ask(Young({}), {"address": "10.0.0.1", "port": 6443})
    assert found["healthy"] and found["deployments"] == [] and found["dns_places"] == []
    assert found["applied"] == {"record": {}, "key": "", "digests": {}, "objects": {}}
    assert live._addons(Young({}), {}) == {}


@pytest.mark.parametrize(
    "statuses, healthy, waited",
    [([200], True, []), ([500, 200], True, [2]), ([500, 500, 500, 200], False, [2, 4]), ([404, 200], False, [])],
)
def test_an_api_that_is_not_ready_for_a_moment_is_asked_again(monkeypatch, statuses, healthy, waited):
    waits = []
    monkeypatch.setattr(live.time, "sleep", waits.append)

    class Busy(Files):
        def ask(self, server, method, path, *_arguments, **_named):
            if path == "/readyz":
                return statuses.pop(0), ""
            return 200, '{"metadata": {"uid": "1"}, "gitVersion": "v1.36.3", "items": []}'

    found = live.k3s(Busy({}), 6443, "/srv/k3s")
    assert (found["healthy"], waits) == (healthy, waited)
    assert healthy or "/readyz: HTTP %d" % (500 if waited else 404) in found["error"]


RECORD = (
    '{"good": {"time": 5, "period": 0, "name": "a", "node": "cp-1"}, "places": {"/srv/": {"period": 0}}, "failure": {}}'
)


@pytest.mark.parametrize(
    "status, text, known",
    [
        (200, json.dumps({"metadata": {"annotations": {backup_record.RECORD: RECORD}}}), json.loads(RECORD)),
        (404, "{}", {"good": {}, "places": {}, "failure": {}}),
        (403, "{}", None),
        (200, "no JSON", None),
    ],
)
def test_the_record_of_scheduled_backups_is_read_where_there_is_a_schedule(status, text, known):
    class Answers(Files):
        def ask(self, server, method, path, *_arguments, **_named):
            assert path == backup_record.PATH
            return status, text

    scheduled = Answers({paths.BACKUP_SETTINGS: "{}"})
    assert live._backups(scheduled, {}) == ({} if known is None else {"backups": known})
    assert live._backups(Answers(), {}) == {}


LEASE = {"metadata": {"annotations": {lock.OPERATION: "upgrade", lock.RUN: "build/2-2"}}}


@pytest.mark.parametrize(
    ("answer", "age", "found"),
    [
        (200, 10, True),
        (200, 100, False),  # its run was killed
        (404, 10, False),
        (503, 10, False),  # the run itself asks for it before it changes anything
        (None, 10, False),
    ],
)
def test_who_changes_the_cluster_now(answer, age, found):
    spec = {"holderIdentity": "bob@build", "leaseDurationSeconds": 60, "renewTime": lock.micro_time(1796000000 - age)}

    class Answers(Files):
        def time(self):
            return 1796000000.0

        def ask(self, _server, _method, path, *_arguments, **_named):
            assert path == lock.PATH
            if answer is None:
                raise OSError("timed out")
            return answer, json.dumps({**LEASE, "spec": spec})

    known = live._lock(Answers({}), {}).get("lock")
    assert bool(known) is found
    if found:
        assert known["run"] == "build/2-2" and known["text"].startswith("bob@build is changing this cluster (upgrade")
