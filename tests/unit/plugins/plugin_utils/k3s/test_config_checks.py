# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s's settings: what is refused, by key, role, version and value."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base import versions
from ansible_collections.kubewright.cluster.plugins.plugin_utils.k3s import (
    config_checks as k3s_check,
    config_keys as k3s_keys,
)
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described

REFUSALS = [
    # keys
    ("server", {"server": "https://x:6443"}, "inputs.owned_key value=k3s_config.server"),
    ("server", {"tls-san": ["x"]}, "inputs.owned_key value=k3s_config.tls-san"),
    ("server", {"tls-san+": ["x"]}, "inputs.owned_key value=k3s_config.tls-san"),
    ("server", {"token": "hush"}, "inputs.owned_key value=k3s_config.token"),
    ("server", {"docker": True}, "k3s_config.unsupported_key value=docker"),
    ("server", {"nodelabel": ["a=b"]}, "k3s_config.unknown_key value=nodelabel limit=node-label"),
    ("server", {"embedded_registry": True}, "k3s_config.unknown_key value=embedded_registry limit=embedded-registry"),
    ("agent", {"zzz": 1}, "k3s_config.unknown_key value=zzz"),
    ("server", {"config": "/x"}, "k3s_config.unknown_key value=config"),
    ("agent", {"etcd-s3": True}, "k3s_config.other_role value=etcd-s3 limit=server"),
    ("server", {"disable-apiserver-lb": True}, "k3s_config.other_role value=disable-apiserver-lb limit=agent"),
    ("server", {"no-deploy": ["traefik"]}, "k3s_config.removed_key value=no-deploy limit=1.26"),
    ("agent", {"cluster-secret": "x"}, "k3s_config.removed_key value=cluster-secret limit=1.26"),
    ("server", {"write-kubeconfig-name": "x"}, "k3s_config.newer_key value=write-kubeconfig-name limit=1.37.0"),
    # values
    ("server", {"debug": "yes"}, "k3s_config.value value='yes' limit=true or false"),
    ("server", {"debug": None}, "k3s_config.no_value value=debug limit=true or false"),
    ("server", {"pause-image": ""}, "k3s_config.no_value value=pause-image limit=a single value"),
    ("server", {"pause-image": ["x"]}, "k3s_config.value value=a list limit=a single value"),
    ("agent", {"v": "high"}, "k3s_config.value value='high' limit=a whole number"),
    ("agent", {"v": "2\n"}, "k3s_config.value value='2\\n' limit=a whole number"),
    ("server", {"etcd-s3-timeout": "5m\n"}, "k3s_config.value value='5m\\n' limit=a duration such as 5m0s"),
    ("agent", {"v": True}, "k3s_config.value value=True limit=a whole number"),
    ("server", {"etcd-s3-timeout": 300}, "k3s_config.value value=300 limit=a duration such as 5m0s"),
    ("server", {"write-kubeconfig-mode": 0o644}, "k3s_config.value value=420 limit=" + k3s_keys.MODE),
    ("agent", {"kubelet-arg": {"v": 2}}, "k3s_config.list_item value=a map limit=text"),
    ("agent", {"kubelet-arg": ["v=2", None]}, "k3s_config.list_item value=an empty item limit=text"),
    ("agent", {"pause-image+": "x"}, "k3s_config.not_a_list value=pause-image+ limit=a single value"),
    ("server", {"egress-selector-mode": "off"}, "k3s_config.choice value=off limit=agent, cluster, pod, disabled"),
    ("server", ["debug"], "k3s_config.type value=a list limit=a map"),
]


@pytest.mark.parametrize(("role", "given", "wanted"), REFUSALS)
def test_refusals(role, given, wanted):
    assert described(k3s_check.problems(given, role, "1.36.3")) == [wanted]


@pytest.mark.parametrize("given", [{"vpn-auth": ["hush"]}, {"vpn-auth+": "hush"}, ["hush"], {"token": "hush"}])
def test_no_refusal_shows_a_secret(given):
    (found,) = k3s_check.problems(given, "agent", "1.36.3")
    assert "hush" not in repr(found)


def test_correct_settings_are_not_refused():
    server = {
        "debug": "true",
        "etcd-snapshot-retention": "7",
        "etcd-s3-timeout": "1m30s",
        "write-kubeconfig-mode": "0640",
        "kubelet-arg+": "v=2",
        "kube-apiserver-arg": ["audit-log-maxage=30"],
        "helm-controller-arg": ["job-resources={}"],
        "egress-selector-mode": "pod",
    }
    assert k3s_check.problems(server, "control_plane", "v1.36.3+k3s1") == []
    assert k3s_check.problems({"selinux": True, "bind-address": "10.0.0.1"}, "worker", "1.30") == []
    assert k3s_check.problems({"server": "https://x", "token-file": "/x"}, "agent", "1.36.3", owned={}) == []


@pytest.mark.parametrize(
    ("key", "version", "known"),
    [
        ("helm-controller-arg", "1.34.9", False),
        ("helm-controller-arg", "1.34.10", True),
        ("helm-controller-arg", "1.34", True),
        ("helm-controller-arg", "1.32.13", False),
        ("helm-controller-arg", "1.38.0", True),
        ("write-kubeconfig-name", "1.36", False),
        ("write-kubeconfig-name", "1.37.0", True),
        ("etcd-s3-retention", "1.30.14", False),
        ("etcd-s3-retention", "1.33.4", True),
        ("etcd-s3-retention", "1.34.0", True),
    ],
)
def test_keys_by_version(key, version, known):
    value = ["x=y"] if key.endswith("-arg") else "3"
    assert (k3s_check.problems({key: value}, "server", version) == []) is known


def test_agents_may_know_a_key_later_than_servers():
    given = {"bind-address": "10.0.0.1"}
    assert k3s_check.problems(given, "server", "1.30.0") == []
    found = k3s_check.problems(given, "agent", "1.30.0")
    assert described(found) == ["k3s_config.newer_key value=bind-address limit=1.30.2 or 1.31.0"]


@pytest.mark.parametrize(
    ("role", "version", "said"),
    [
        ("master", "1.36.3", "expected the role server or agent, got 'master'"),
        ("server", "new", "'new'"),
        ("server", "1.29.4", "K3s 1.29.4 is too old: only the settings of 1.30 and later are known"),
    ],
)
def test_an_unknown_role_or_version(role, version, said):
    with pytest.raises(ValueError, match=said):
        k3s_check.problems({}, role, version)


def test_old_names_are_reported_if_the_version_knows_the_new_one():
    given = {"kube-controller-arg": ["v=2"], "helm-job-image": "x"}
    controller = "k3s_config.deprecated_key value=kube-controller-arg limit=kube-controller-manager-arg"
    helm = "k3s_config.deprecated_key value=helm-job-image limit=helm-controller-arg"
    assert described(k3s_check.deprecated(given, "1.36.3")) == [helm, controller]
    assert described(k3s_check.deprecated(given, "1.35.0")) == [controller]
    assert k3s_check.problems(given, "server", "1.36.3") == []


def test_the_table_is_sound():
    names = set(k3s_keys.KEYS)
    for part in (k3s_keys.SINCE, k3s_keys.AGENT_SINCE, k3s_keys.CHOICES, k3s_keys.DEPRECATED, k3s_keys.CRITICAL):
        assert set(part) <= names
    assert {*k3s_check.OWNED, *k3s_check.UNSUPPORTED, *k3s_keys.SECRET, *k3s_keys.DEPRECATED.values()} <= names
    assert not set(k3s_keys.REMOVED) & names
    for since in [*k3s_keys.SINCE.values(), *k3s_keys.AGENT_SINCE.values()]:
        rows = [versions.parse(text) for text in since.split()]
        assert rows == sorted(rows)
        # No minor release is left out between the first and the last.
        assert [row[1] for row in rows] == list(range(rows[0][1], rows[-1][1] + 1))


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("etcd-snapshot-schedule-cron", "0 */6 * * mon-fri", "every day"),
        ("etcd-snapshot-schedule-cron", "@every 6h", "0 */6 * *"),
        ("etcd-snapshot-schedule-cron", "5,35 0-6/2 1 jan,7 ?", "0 25 * * *"),
        ("etcd-snapshot-schedule-cron", "CRON_TZ=UTC 0 1 * * 0", "0 1 * * */0"),
        ("resolv-conf", "/etc/resolv.conf", "resolv.conf"),
        ("log", "/var/log/k3s.log", "k3s.log"),
        ("snapshotter", "native", "overlay"),
        ("pause-image", "registry.example:5000/pause:3.10", "a b"),
        ("system-default-registry", "registry.example:5000", "https://registry.example"),
        ("etcd-s3-endpoint", "minio.example:9000", "https://minio.example"),
    ],
)
def test_forms_of_values(key, good, bad):
    assert k3s_check.problems({key: good}, "server", "1.36") == []
    assert [finding.id.partition(".")[0] for finding in k3s_check.problems({key: bad}, "server", "1.36")] == [
        "k3s_config"
    ]


def test_a_login_in_a_host_is_not_shown():
    found = k3s_check.problems({"etcd-s3-endpoint": "https://me:hush@minio.example"}, "server", "1.36")
    assert len(found) == 1 and "hush" not in repr(found)
