# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import os

import pytest
import yaml
from ansible_collections.kubewright.cluster.plugins.plugin_utils.base import yaml_documents
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import kubeconfig
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described

SERVER = "https://10.0.0.11:6443"


def pem(words):
    return base64.b64encode(b"-----BEGIN CERTIFICATE-----\n" + words.encode()).decode()


def admin(authority="one", **changes):
    """Return the text of a control plane's admin.conf."""
    user = {"client-certificate-data": pem("client"), "client-key-data": pem("key"), **changes.pop("user", {})}
    cluster = {
        "server": "https://127.0.0.1:7443",
        "certificate-authority-data": pem(authority),
        **changes.pop("cluster", {}),
    }
    return yaml_documents.dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "kubernetes", "cluster": cluster}],
            "users": [{"name": "kubernetes-admin", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "kubernetes", "user": "kubernetes-admin"}}],
            "current-context": "x",
            **changes,
        }
    )


def made(authority="one", name="prod"):
    return kubeconfig.rewritten(admin(authority), SERVER, name)


def read(path):
    return yaml.safe_load(path.read_text())


def names(path):
    return {kind: [entry["name"] for entry in read(path)[kind]] for kind in ("clusters", "users", "contexts")}


def test_it_is_made_of_data_and_of_nothing_else():
    text = admin(
        cluster={"insecure-skip-tls-verify": True, "proxy-url": "http://evil"},
        user={"exec": {"command": "/bin/evil"}, "tokenFile": "/etc/shadow"},
        preferences={"colors": True},
    )
    assert yaml.safe_load(kubeconfig.rewritten(text, SERVER, "prod")) == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "prod", "cluster": {"server": SERVER, "certificate-authority-data": pem("one")}}],
        "users": [
            {"name": "prod-admin", "user": {"client-certificate-data": pem("client"), "client-key-data": pem("key")}}
        ],
        "contexts": [{"name": "prod", "context": {"cluster": "prod", "user": "prod-admin"}}],
        "current-context": "prod",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a list",
        "{",
        "key: hunter2: x",
        admin(user={"client-key-data": "/etc/shadow"}),
        admin(user={"client-key-data": base64.b64encode(b"hunter2").decode()}),
        admin(cluster={"certificate-authority-data": ""}),
        admin(**{"current-context": "gone"}),
    ],
)
def test_a_file_without_certificates_is_an_error_that_shows_none_of_it(text):
    with pytest.raises(kubeconfig.KubeconfigError) as error:
        kubeconfig.rewritten(text, SERVER, "prod")
    assert "control plane's kubeconfig" in str(error.value) and "hunter2" not in str(error.value)


def test_it_is_written_once_and_only_its_owner_reads_it(tmp_path):
    path = str(tmp_path / "new" / "kubeconfig")
    assert kubeconfig.save(path, made(), True) and not os.path.exists(path)
    assert kubeconfig.save(path, made(), False) and not kubeconfig.save(path, made(), False)
    assert os.stat(path).st_mode & 0o777 == 0o600
    os.chmod(path, 0o644)
    assert kubeconfig.save(path, made(), False) and os.stat(path).st_mode & 0o777 == 0o600
    assert os.listdir(os.path.dirname(path)) == ["kubeconfig"]


@pytest.mark.parametrize(
    "present",
    [
        "",
        made(),
        made("a cluster made again"),
        made(name="its former name"),
        # kubectl drops comments, and knows the same cluster
        yaml_documents.dump({**yaml.safe_load(made()), "preferences": {}}),
    ],
)
def test_our_own_file_is_replaced(tmp_path, present):
    path = tmp_path / "kubeconfig"
    path.write_text(present)
    assert kubeconfig.save(str(path), made(), False) or present == made()
    assert path.read_text() == made()


@pytest.mark.parametrize("present", [admin("two"), made("two", "other"), "some: text", "{", "- 1"])
def test_a_file_of_somebody_else_is_not(tmp_path, present):
    path = tmp_path / "kubeconfig"
    path.write_text(present)
    with pytest.raises(kubeconfig.KubeconfigError, match="ove it away"):
        kubeconfig.save(str(path), made(), False)
    assert path.read_text() == present


def test_ours_is_told_by_its_head_and_name(tmp_path):
    path = tmp_path / "kubeconfig"
    assert not kubeconfig.is_ours(str(path), "prod")
    path.write_text(made())
    assert kubeconfig.is_ours(str(path), "prod") and not kubeconfig.is_ours(str(path), "other")
    path.write_text(admin())
    assert not kubeconfig.is_ours(str(path), "prod")


def test_merging_keeps_what_is_there(tmp_path):
    own = tmp_path / "config"
    own.write_text("clusters: [{name: other}]\nusers: []\ncontexts: []\ncurrent-context: other\n")
    assert kubeconfig.merge_into(str(own), made(), True) and names(own)["clusters"] == ["other"]
    assert kubeconfig.merge_into(str(own), made(), False) and not kubeconfig.merge_into(str(own), made(), False)
    assert names(own)["clusters"] == ["other", "prod"] and read(own)["current-context"] == "other"
    assert len(list(tmp_path.glob("config.*"))) == 1
    renewed = made().replace(pem("client"), pem("renewed"))
    assert kubeconfig.merge_into(str(own), renewed, False)
    assert names(own) == {"clusters": ["other", "prod"], "users": ["prod-admin"], "contexts": ["prod"]}
    assert read(own)["users"][0]["user"]["client-certificate-data"] == pem("renewed")


def test_a_merge_that_changes_nothing_makes_no_copy(tmp_path, monkeypatch):
    moments = iter("12345")
    monkeypatch.setattr(kubeconfig.time, "strftime", lambda _form: next(moments))
    own = tmp_path / "config"
    own.write_text("")
    assert kubeconfig.merge_into(str(own), made(), False) and names(own)["clusters"] == ["prod"]
    copies = sorted(tmp_path.glob("config.*"))
    assert not kubeconfig.merge_into(str(own), made(), False) and sorted(tmp_path.glob("config.*")) == copies


def test_merging_makes_the_file_and_keeps_a_link(tmp_path):
    own = tmp_path / "config"
    own.symlink_to(tmp_path / "real")
    assert kubeconfig.merge_into(str(own), made(), False)
    assert own.is_symlink() and read(tmp_path / "real")["current-context"] == "prod"
    assert not list(tmp_path.glob("config.*"))


@pytest.mark.parametrize(
    "present, words",
    [
        (made("two"), "a cluster prod with another CA"),
        (
            (
                "clusters: [{name: x}]\nusers: [{name: prod-admin}]\ncontexts: [{name: y, context: {cluster: x, "
                "user: prod-admin}}]\n"
            ),
            "a user prod-admin of the cluster x",
        ),
        (
            "clusters: [{name: x}]\ncontexts: [{name: prod, context: {cluster: x, user: z}}]\n",
            "a context prod of the cluster x",
        ),
        ("{", "is not valid YAML"),
    ],
)
def test_another_clusters_entries_are_not_replaced(tmp_path, present, words):
    own = tmp_path / "config"
    own.write_text(present)
    with pytest.raises(kubeconfig.KubeconfigError, match=words):
        kubeconfig.merge_into(str(own), made(), False)
    assert own.read_text() == present and len(list(tmp_path.iterdir())) == 1


def test_taking_out_is_the_reverse_of_merging(tmp_path):
    own = tmp_path / "config"
    assert not kubeconfig.take_out(str(own), made(), False)
    own.write_text(yaml_documents.dump(yaml.safe_load(made("two", "other"))))
    before = read(own)
    kubeconfig.merge_into(str(own), made(), False)
    assert kubeconfig.take_out(str(own), made(), False) and read(own) == before
    assert not kubeconfig.take_out(str(own), made("three", "other"), False) and read(own) == before
    assert kubeconfig.take_out(str(own), made("two", "other"), False)
    assert names(own) == {"clusters": [], "users": [], "contexts": []} and read(own)["current-context"] == ""


def test_only_a_file_of_somebody_else_is_in_the_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert kubeconfig.in_the_way("kubeconfig", "prod") == []
    path = tmp_path / "kubeconfig"
    path.write_text(made(name="prod"))
    assert kubeconfig.in_the_way("kubeconfig", "prod") == []
    path.write_text(made(name="other"))
    assert described(kubeconfig.in_the_way("kubeconfig", "prod")) == ["kubeconfig.of_others value=kubeconfig"]
