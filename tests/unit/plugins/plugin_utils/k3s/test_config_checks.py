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

REFUSALS = [
    # keys
    ("server", {"server": "https://x:6443"}, "inputs.owned_key: k3s_config.server"),
    ("server", {"tls-san": ["x"]}, "inputs.owned_key: k3s_config.tls-san"),
    ("server", {"tls-san+": ["x"]}, "inputs.owned_key: k3s_config.tls-san"),
    ("server", {"token": "hush"}, "inputs.owned_key: k3s_config.token"),
    (
        "server",
        {"nodelabel": ["a=b"]},
        "k3s_config.nodelabel is no setting of K3s, which would start without it; did you mean",
    ),
    ("server", {"embedded_registry": True}, "did you mean embedded-registry?"),
    ("agent", {"zzz": 1}, "https://docs.k3s.io/cli/agent lists them"),
    ("server", {"config": "/x"}, "k3s_config.config is no setting of K3s"),
    (
        "agent",
        {"etcd-s3": True},
        "k3s_config.etcd-s3 is a setting of servers alone, and K3s would start this agent without it",
    ),
    (
        "server",
        {"disable-apiserver-lb": True},
        "is a setting of agents alone, and K3s would start this server without it",
    ),
    ("server", {"no-deploy": ["traefik"]}, "k3s_config.no-deploy was taken out of K3s in 1.26; use disable"),
    ("agent", {"cluster-secret": "x"}, "taken out of K3s in 1.26; use token-file"),
    (
        "server",
        {"write-kubeconfig-name": "x"},
        "K3s 1.36.3 does not know it yet; take one from 1.37.0 on, or leave it out",
    ),
    # values
    ("server", {"debug": "yes"}, "k3s_config.debug is 'yes'; K3s takes true or false here"),
    ("server", {"debug": None}, "k3s_config.debug has no value; give true or false or leave it out"),
    ("server", {"pause-image": ""}, "k3s_config.pause-image has no value; give one value"),
    ("server", {"pause-image": ["x"]}, "k3s_config.pause-image is ['x']; K3s takes one value here"),
    ("agent", {"v": "high"}, "k3s_config.v is 'high'; K3s takes a whole number here"),
    ("agent", {"v": True}, "k3s_config.v is True; K3s takes a whole number here"),
    ("server", {"etcd-s3-timeout": 300}, "k3s_config.etcd-s3-timeout is 300; K3s takes a duration such as 5m0s here"),
    ("server", {"write-kubeconfig-mode": 0o644}, 'is 420; K3s takes a file mode in quotes, as "0600" here'),
    ("agent", {"kubelet-arg": {"v": 2}}, "k3s_config.kubelet-arg has the item {'v': 2}; K3s takes a list of texts"),
    ("agent", {"kubelet-arg": ["v=2", None]}, "k3s_config.kubelet-arg has the item None"),
    ("agent", {"pause-image+": "x"}, "k3s_config.pause-image+: only to a list can be added"),
    (
        "server",
        {"egress-selector-mode": "off"},
        "k3s_config.egress-selector-mode: 'off' is none of agent, cluster, pod, disabled",
    ),
    ("server", ["debug"], "k3s_config is ['debug']; give a map of K3s's settings"),
]


@pytest.mark.parametrize(("role", "given", "said"), REFUSALS)
def test_refusals(role, given, said):
    (found,) = k3s_check.problems(given, role, "1.36.3")
    assert said in "%s: %s" % (getattr(found, "id", ""), found)


def test_a_refusal_tells_no_secret():
    found = k3s_check.problems({"vpn-auth": ["joinKey=hush"]}, "agent", "1.36.3")
    assert found == ["k3s_config.vpn-auth is wrong; K3s takes one value here"]


def test_what_is_right_is_not_refused():
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


def test_an_agents_key_may_be_younger_than_the_servers():
    given = {"bind-address": "10.0.0.1"}
    assert k3s_check.problems(given, "server", "1.30.0") == []
    assert "from 1.30.2 or 1.31.0 on" in k3s_check.problems(given, "agent", "1.30.0")[0]


@pytest.mark.parametrize(
    ("role", "version", "said"),
    [
        ("master", "1.36.3", "'master' is no role of K3s: it is server or agent"),
        ("server", "new", "'new' is no version"),
        ("server", "1.29.4", "K3s 1.29.4: its settings are known from 1.30 on"),
    ],
)
def test_a_role_or_version_that_there_is_none_of(role, version, said):
    with pytest.raises(ValueError, match=said):
        k3s_check.problems({}, role, version)


def test_old_names_are_told_where_the_new_one_is_known():
    given = {"kube-controller-arg": ["v=2"], "helm-job-image": "x"}
    assert len(k3s_check.deprecated(given, "1.36.3")) == 2
    assert k3s_check.deprecated(given, "1.35.0") == [
        "k3s_config.kube-controller-arg is an old name; write kube-controller-manager-arg"
    ]
    assert k3s_check.problems(given, "server", "1.36.3") == []


def test_the_table_is_sound():
    names = set(k3s_keys.KEYS)
    for part in (k3s_keys.SINCE, k3s_keys.AGENT_SINCE, k3s_keys.CHOICES, k3s_keys.DEPRECATED, k3s_keys.CRITICAL):
        assert set(part) <= names
    assert set(k3s_check.OWNED) | set(k3s_keys.SECRET) | set(k3s_keys.DEPRECATED.values()) <= names
    assert not set(k3s_keys.REMOVED) & names
    for since in [*k3s_keys.SINCE.values(), *k3s_keys.AGENT_SINCE.values()]:
        rows = [versions.parse(text) for text in since.split()]
        assert rows == sorted(rows)
        # No minor release is left out between the first and the last.
        assert [row[1] for row in rows] == list(range(rows[0][1], rows[-1][1] + 1))
