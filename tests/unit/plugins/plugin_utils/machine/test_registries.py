# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kube_registries: what containerd is given, read by a real TOML parser, and what is refused."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.k3s import registries
from ansible_collections.kubewright.cluster.plugins.plugin_utils.machine import containerd
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import planner
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described, ids
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.machines import inventory
from hypothesis import given as drawn, strategies as st

tomllib = pytest.importorskip("tomllib")  # Python 3.11

LOGIN = {"username": "u", "password": "hunter2"}
IMAGES = "io.containerd.cri.v1.images"


def hosts_of(given, registry):
    """Return the hosts in a registry's hosts.toml, in its order: {url: settings}."""
    (entry,) = [entry for entry in containerd.hosts(given) if entry["path"].endswith("/%s/hosts.toml" % registry)]
    return tomllib.loads(entry["content"])["host"]


def logins_of(given):
    """Return the logins that containerd has: {host: auth}."""
    return {
        host: settings["auth"]
        for host, settings in tomllib.loads(containerd.logins(given))["plugins"][IMAGES]["registry"]["configs"].items()
    }


@pytest.mark.parametrize(
    ("registry", "endpoints"),
    [
        ("registry.lan:5000", ["https://registry.lan:5000"]),
        ("registry.lan:5000", ["https://registry.lan:5000/"]),
        ("docker.io", ["https://registry-1.docker.io"]),
        ("docker.io", ["https://m.lan", "https://m.lan", "https://m.lan/"]),
    ],
)
def test_each_endpoint_is_declared_once(registry, endpoints):
    made = hosts_of({"mirrors": {registry: {"endpoints": endpoints}}, "configs": {registry: LOGIN}}, registry)
    own = "https://registry-1.docker.io" if registry == "docker.io" else "https://" + registry
    assert list(made) == list(dict.fromkeys([item.rstrip("/") for item in endpoints] + [own]))


def test_a_registry_keeps_its_own_path_when_its_mirror_has_another():
    mirror = {"endpoints": ["https://harbor.lan/v2/k8s"], "override_path": True}
    made = hosts_of({"mirrors": {"registry.k8s.io": mirror}, "configs": {"registry.k8s.io": LOGIN}}, "registry.k8s.io")
    assert made["https://harbor.lan/v2/k8s"]["override_path"] is True
    assert "override_path" not in made["https://registry.k8s.io"]


PEM = "-----BEGIN %s-----\nMIIB\n-----END %s-----\n"


def test_the_settings_of_a_registry_are_in_its_file():
    settings = {
        "ca": PEM % (("CERTIFICATE",) * 2),
        "certificate": PEM % (("CERTIFICATE",) * 2),
        "key": PEM % (("KEY",) * 2),
    }
    mirrors = {"docker.io": {"endpoints": ["https://r.lan:5000"]}, "quay.io": {"endpoints": ["https://r.lan:5000"]}}
    given = {"mirrors": mirrors, "configs": {"r.lan:5000": {**settings, "insecure_skip_verify": True}}}
    made = hosts_of(given, "docker.io")["https://r.lan:5000"]
    files = {entry["path"]: entry for entry in containerd.hosts(given)}
    assert made["skip_verify"] is True and files[made["ca"]]["content"] == settings["ca"]
    ((certificate, key),) = made["client"]
    assert (files[key]["mode"], files[key]["secret"]) == ("0600", True) and files[certificate]["mode"] == "0644"
    assert len(files) == len(containerd.hosts(given))  # each file once, though two registries name it
    plain = hosts_of({"mirrors": mirrors}, "docker.io")["https://r.lan:5000"]
    assert not {"skip_verify", "ca", "client"} & set(plain)


def test_a_login_is_containerds_own_so_that_it_is_exchanged_for_a_token():
    given = {
        "mirrors": {"docker.io": {"endpoints": ["https://m.lan:5000/v2/hub"], "override_path": True}},
        "configs": {
            "docker.io": LOGIN,
            "m.lan:5000": {"username": "m", "password": 'a"\\b'},
            "gitlab.lan": {"token": "t0"},
            "open.lan": {"insecure_skip_verify": True},
        },
    }
    assert logins_of(given) == {
        "registry-1.docker.io": LOGIN,
        "m.lan:5000": {"username": "m", "password": 'a"\\b'},
        "gitlab.lan": {"identitytoken": "t0"},
    }
    assert not [entry for entry in containerd.hosts(given) if "Authorization" in entry["content"]]
    (entry,) = containerd.secret_files(given, {}, [])
    assert (entry["path"], entry["mode"], entry["secret"]) == (containerd.LOGINS, "0600", True)


def test_no_login_no_file():
    assert containerd.logins({"mirrors": {"docker.io": {"endpoints": ["https://m.lan"]}}}) == ""


@drawn(st.text(), st.text(), st.sampled_from(["r.lan", "docker.io", "[fd00::1]:5000"]))
def test_any_password_and_path_is_toml(password, path, registry):
    login = {"username": "u", "password": password}
    given = {"mirrors": {registry: {"endpoints": ["https://r.lan/" + path]}}, "configs": {registry: login}}
    assert list(logins_of(given).values())[0]["password"] == password
    own = "https://registry-1.docker.io" if registry == "docker.io" else "https://" + registry
    assert set(hosts_of(given, registry)) == {("https://r.lan/" + path).rstrip("/"), own}


def test_k3s_reads_a_token_by_its_own_name():
    (entry,) = registries.files({"configs": {"gitlab.lan": {"token": "t0"}}})
    assert "identity_token: t0" in entry["content"]


MIRRORS = [
    ("https://user:hunter2@m.lan", {}, "registries.login_in_url value=kube_registries.mirrors[docker.io]"),
    ("u:hunter2@m.lan", {}, "registries.login_in_url value=kube_registries.mirrors[docker.io]"),
    ("https://", {}, "registries.not_a_url value=https://"),
    ("ftp://m.lan", {}, "registries.not_a_url value=ftp://m.lan"),
    ("https://m.lan:port", {}, "registries.not_a_url value=https://m.lan:port"),
    ("https://harbor.lan/v2/hub", {}, "registries.override_path value=https://harbor.lan/v2/hub"),
    ("https://harbor.lan/v2/hub", {"override_path": True}, None),
    ("https://m.lan", {}, None),
    ("https://m.lan/v2", {}, None),
]


@pytest.mark.parametrize(("url", "more", "refusal"), MIRRORS)
def test_endpoints(url, more, refusal):
    given = {"mirrors": {"docker.io": {"endpoints": [url], **more}}}
    hosts, groups = inventory(1, 0, {"kube_distribution": "kubeadm", "kube_registries": given})
    refusals = planner.cluster_plan(hosts, groups)["refusals"]
    assert described(refusals) == ([refusal] if refusal else [])
    assert "hunter2" not in repr(refusals)


PATHS = [
    ("kubeadm", "https://registry.example.com/k8s", True, "registries.path_without_v2"),
    ("kubeadm", "https://harbor.example.com/dockerhub", False, "registries.path_with_v2"),
    ("kubeadm", "https://registry.example.com/v2/k8s", True, None),
    ("kubeadm", "https://artifactory.example.com/api/docker/hub/v2", False, None),
    ("k3s", "https://harbor.example.com/dockerhub", False, "registries.path_without_v2"),
    ("k3s", "https://harbor.example.com/v2/dockerhub", False, None),
    ("k3s", "https://harbor.example.com/v2/dockerhub", True, None),
    ("k3s", "https://mirror.example.com", True, "registries.override_path_ignored"),
]


@pytest.mark.parametrize(("distribution", "url", "override_path", "warning"), PATHS)
def test_a_path_that_registries_do_not_serve_is_said(distribution, url, override_path, warning):
    given = {"mirrors": {"docker.io": {"endpoints": [url], "override_path": override_path}}}
    hosts, groups = inventory(1, 0, {"kube_distribution": distribution, "kube_registries": given})
    plan = planner.cluster_plan(hosts, groups)
    assert plan["refusals"] == []
    found = [finding for finding in plan["warnings"] if finding["id"].startswith("registries.")]
    assert described(found) == (["%s value=%s" % (warning, url)] if warning else [])


SETTINGS_OF_ALL = [
    ("k3s", {"*": {"endpoints": ["https://m.lan"]}}, False, True),
    ("k3s", {}, True, True),
    ("k3s", {"docker.io": {"endpoints": ["https://m.lan"]}}, True, False),
    ("kubeadm", {"*": {"endpoints": ["https://m.lan"]}}, False, False),
]


@pytest.mark.parametrize(("distribution", "mirrors", "embedded", "warned"), SETTINGS_OF_ALL)
def test_settings_of_all_registries_that_k3s_does_not_use(distribution, mirrors, embedded, warned):
    """getHostConfigs in K3s's pkg/agent/containerd/config.go."""
    given = {"mirrors": mirrors, "configs": {"*": {"ca": "-----BEGIN CERTIFICATE-----"}}}
    inputs = {"kube_distribution": distribution, "kube_registries": given, "k3s_embedded_registry": embedded}
    warnings = planner.cluster_plan(*inventory(1, 0, inputs))["warnings"]
    found = ids(finding for finding in warnings if finding["id"].startswith("registries.settings"))
    assert found == (["registries.settings_of_all_forgotten"] if warned else [])


@pytest.mark.parametrize("data_dir", ["/var/lib/containerd", '/srv/a "b"/containerd'])
def test_containerds_configuration_is_toml(data_dir):
    made = tomllib.loads(containerd.config({}, "systemd", "registry.k8s.io/pause:3.10", data_dir, True))
    assert made["version"] == 3 and made["root"] == data_dir
    assert made["plugins"][IMAGES]["registry"] == {"config_path": containerd.CERTS}


@pytest.mark.parametrize(
    ("mirror", "refusal"),
    [
        ({"endpoints": "https://m.example"}, "registries.no_endpoints"),
        ({"endpoints": ["m.example"]}, "registries.not_a_url"),
        ({"endpoints": [None]}, "registries.not_a_url"),
        ({"endpoints": ["https://m.example"], "rewrites": ["a"]}, "registries.rewrites"),
        ({"endpoints": ["https://m.example"], "rewrites": {"(": "a"}}, "registries.rewrites"),
        ({"endpoints": ["https://m.example"], "rewrites": {"a": 1}}, "registries.rewrites"),
    ],
)
def test_a_wrong_mirror_is_said_once(mirror, refusal):
    hosts, groups = inventory(1, 0, {"kube_distribution": "k3s", "kube_registries": {"mirrors": {"docker.io": mirror}}})
    plan = planner.cluster_plan(hosts, groups)
    found = [row["id"] for row in plan["refusals"] + plan["warnings"] if row["id"].startswith("registries.")]
    assert found == [refusal]


def test_patterns_of_go_that_python_does_not_know():
    rewrites = {"^(?P<a>.*)$": "x/$a", "a(?i)b": "c", r"\pN+\z": "d"}
    mirrors = {"docker.io": {"endpoints": ["https://m.example"], "rewrites": rewrites}}
    assert containerd.refusals({"mirrors": mirrors}, rewrites=True) == []
