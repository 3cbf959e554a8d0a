# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files on the controller that inputs name are looked at before anything is changed."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import user_files
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import ids

NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n"


def read(inputs):
    """Return (texts, ids of findings) of two hosts with the same inputs."""
    texts, found = user_files.read({host: {"inputs": inputs} for host in ("a", "b")}, lambda path: path)
    return texts, [finding.id for finding in found], found


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (None, ["manifests.unreadable"]),
        ("{{{", ["manifests.form"]),
        ("just text", ["manifests.form"]),
        ("", ["manifests.form"]),
        ("kind: Pod\napiVersion: v1\nmetadata: {}\n", ["manifests.form"]),
        (NAMESPACE + "---\n", []),
    ],
)
def test_files_of_manifests(tmp_path, monkeypatch, content, wanted):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "m.yml").write_text(content)
    texts, found, _rows = read({"kube_manifests": [{"name": "m", "src": "m.yml"}]})
    assert found == wanted and texts == ({} if wanted else {"m": content})


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (None, ["hooks.unreadable"]),
        ("{{{", ["hooks.form"]),
        ("name: a map\n", ["hooks.form"]),
        ("- just text\n", ["hooks.form"]),
        ("- name: Say so\n  debug: {msg: !unsafe '{{ x }}'}\n", []),
        ("$ANSIBLE_VAULT;1.1;AES256\n62\n", []),
    ],
)
def test_hooks(tmp_path, content, wanted):
    path = tmp_path / "hook.yml"
    if content is not None:
        path.write_text(content)
    assert read({"kube_hooks": {"after_cluster": str(path)}})[1] == wanted


def test_the_kubeconfig_is_a_file(tmp_path):
    assert read({"kube_kubeconfig": {"path": str(tmp_path)}})[1] == ["kubeconfig.directory"]
    assert read({"kube_kubeconfig": {"path": str(tmp_path / "new")}})[1] == []


def test_the_wording_of_each(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dir").mkdir()
    (tmp_path / "text.yml").write_text("text")
    found = read({"kube_manifests": [{"name": "m", "src": "no.yml"}, {"name": "n", "src": "text.yml"}]})[2]
    assert ids(found) == ["manifests.unreadable", "manifests.form"]
    monkeypatch.setattr(user_files, "_text", lambda path: ("text", "") if path == "/t" else (None, "it is not text"))
    monkeypatch.setattr(user_files.os.path, "isdir", lambda path: path == "/dir")
    found = read({"kube_hooks": {"before_node": "/t", "after_node": "/n"}, "kube_kubeconfig": {"path": "/dir"}})[2]
    assert ids(found) == ["hooks.form", "hooks.unreadable", "kubeconfig.directory"]
