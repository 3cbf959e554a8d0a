# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plan says of the kubeconfig on the controller is what the run then does."""

from __future__ import annotations

import base64

import pytest
import yaml
from ansible_collections.kubewright.cluster.plugins.module_utils.detect.cluster import admin_digests
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import kubeconfig, kubeconfig_changes
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import described


def pem(text):
    return base64.b64encode(("-----BEGIN X-----\n%s\n" % text).encode()).decode()


def admin(ca="ca", certificate="certificate", key="key"):
    """A control plane's kubeconfig."""
    user = {"client-certificate-data": pem(certificate), "client-key-data": pem(key)}
    cluster = {"certificate-authority-data": pem(ca), "server": "https://127.0.0.1:6443"}
    made = {
        "clusters": [{"name": "kubernetes", "cluster": cluster}],
        "users": [{"name": "kubernetes-admin", "user": user}],
        "contexts": [{"name": "a", "context": {"cluster": "kubernetes", "user": "kubernetes-admin"}}],
        "current-context": "a",
    }
    return yaml.safe_dump(made)


@pytest.fixture
def wanted(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return {"path": "kubeconfig", "server": "https://10.0.0.11:6443", "cluster_name": "prod", "merge": False}


def write(wanted, node=None, server=None, name="prod"):
    text = kubeconfig.rewritten(node or admin(), server or wanted["server"], name)
    kubeconfig.save(wanted["path"], text, False)
    return text


def find(wanted, node=None, is_new=False):
    """(what becomes of it, refusals), compared with what the run would do."""
    said, problems = kubeconfig_changes.find(wanted, admin_digests(node or admin()), is_new)
    assert "LS0t" not in repr(said)
    if not is_new:
        text = kubeconfig.rewritten(node or admin(), wanted["server"], wanted["cluster_name"])
        try:
            changed = kubeconfig.save(wanted["path"], text, check=True)
            if wanted["merge"]:
                changed |= kubeconfig.merge_into(
                    kubeconfig_changes.os.path.expanduser("~/.kube/config"), text, check=True
                )
            assert (said["state"] != "same") is changed and not problems
        except kubeconfig.KubeconfigError:
            assert problems
    return said, described(problems)


def test_a_file_that_is_missing_or_empty(wanted):
    for _number in range(2):
        assert find(wanted) == ({"path": wanted["path"], "state": "new", "text": "will be written"}, [])
        open(wanted["path"], "w", encoding="utf-8").close()
    assert find(wanted, is_new=True)[0]["state"] == "new"


def test_a_file_as_it_was_written(wanted):
    write(wanted)
    assert find(wanted)[0] == {"path": wanted["path"], "state": "same", "text": ""}


@pytest.mark.parametrize(
    ("node", "server", "said"),
    [
        (None, "https://10.0.0.12:6443", "server changes from https://10.0.0.12:6443 to https://10.0.0.11:6443"),
        (admin(certificate="old"), None, "credentials are renewed"),
        (admin(key="old"), None, "credentials are renewed"),
        (admin(ca="old", certificate="old"), "https://me:hunter2@[fd00::1]:6443", "credentials are renewed"),
    ],
    ids=["server", "certificate", "key", "authority and server"],
)
def test_what_changes(wanted, node, server, said):
    write(wanted, node, server)
    made = find(wanted)[0]
    assert made["state"] == "changed" and said in made["text"] and "hunter2" not in made["text"]


def test_a_renamed_context_of_the_same_authority(wanted):
    write(wanted, name="before")
    assert find(wanted)[0]["text"] == "the context prod is written"


def test_a_file_that_was_edited_or_opened_to_others(wanted, tmp_path):
    text = write(wanted)
    (tmp_path / "kubeconfig").chmod(0o644)
    assert find(wanted)[0]["text"] == "mode 0644 becomes 0600"
    (tmp_path / "kubeconfig").write_text(text + "preferences: {}\n", encoding="utf-8")
    assert "was edited" in find(wanted)[0]["text"]
    (tmp_path / "kubeconfig").write_text(text.replace("current-context: prod", "current-context: x"), encoding="utf-8")
    assert "was edited" in find(wanted)[0]["text"]


@pytest.mark.parametrize("text", ["other: file\n", "\xff", "[]", kubeconfig.rewritten(admin(ca="x"), "https://a", "x")])
def test_a_file_of_others_is_refused_before_anything_is_changed(wanted, tmp_path, text):
    (tmp_path / "kubeconfig").write_text(text, encoding="latin-1")
    for is_new in (True, False):
        assert find(wanted, is_new=is_new)[1] == ["kubeconfig.of_others value=kubeconfig"]


def test_an_unreadable_kubeconfig_on_the_node_is_unknown(wanted):
    write(wanted)
    said, problems = kubeconfig_changes.find(wanted, None, False)
    assert said["state"] == "unknown" and problems == []


def test_merging(wanted, tmp_path):
    wanted["merge"] = True
    text = write(wanted)
    theirs = tmp_path / ".kube" / "config"
    assert find(wanted)[0]["text"] == "merge into ~/.kube/config"
    kubeconfig.merge_into(str(theirs), text, False)
    assert find(wanted)[0]["state"] == "same"
    other = yaml.safe_load(kubeconfig.rewritten(admin(ca="x"), "https://a", "prod"))
    theirs.write_text(yaml.safe_dump(other), encoding="utf-8")
    for is_new in (True, False):
        assert find(wanted, is_new=is_new)[1] == ["kubeconfig.name_taken value=prod"]
