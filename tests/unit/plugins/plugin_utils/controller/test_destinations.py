# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kube_backup on the controller: read from a control plane, described without secrets, archives brought back."""

from __future__ import annotations

import os

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.destinations import copies as kept
from ansible_collections.kubewright.cluster.plugins.module_utils.destinations.places import Directory
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import archives, destinations
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller.run_store import RunStore
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import ids

S3 = {"bucket": "bk", "prefix": "p/", "access_key": "AK", "secret_key": "SK", "endpoint": "http://s3.example"}


def hosts(**inputs):
    return {"cp-1": {"inputs": {"kube_version": "1.36", **inputs}}}


def test_settings_are_kept_for_the_task_and_the_plan_has_no_secrets(tmp_path):
    store, options = RunStore(str(tmp_path)), {"encrypted": False}
    sftp = {"host": "h", "key": "-----BEGIN OPENSSH PRIVATE KEY-----\nTEXT\n"}
    given = hosts(kube_backup={"to": [{"s3": S3}, {"sftp": sftp}]})
    assert destinations.keep_settings(store, options, given, ["cp-1"]) == []
    assert options["labels"] == ["s3://bk/p/", "sftp://h:22/"] and options["keep_there"] == 20
    assert ids(options["warnings"]) == ["backup.not_encrypted"]
    assert "SK" not in str(options) and "TEXT" not in str(options)
    settings = store.get("secret", destinations.NAME)
    assert settings["to"][0]["s3"]["secret_key"] == "SK" and settings["to"][1]["sftp"]["port"] == 22
    assert destinations.warnings(settings, encrypted=True) == []


def test_what_is_wrong_with_them():
    wrong = {"to": [{}, {"s3": {**S3, "endpoint": "x"}}, {"s3": S3, "sftp": {"host": "-x"}}], "keep": -1}
    problems = destinations.read(hosts(kube_backup=wrong), ["cp-1"])[1]
    assert set(ids(problems)) == {"inputs.format"} and len(problems) == 5
    assert "SK" not in str(problems)
    missing = destinations.read(hosts(kube_backup={"to": [{"s3": {"bucket": "bk"}}]}), ["cp-1"])[1]
    assert ids(missing) == ["inputs.missing"] * 2
    text = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
    bad = {"to": [{"s3": {**S3, "endpoint": "https://x", "ca": text}}]}
    assert ids(destinations.described(bad)[1]) == ["backup.destination"]
    assert destinations.read({}, [])[0]["to"] == []


def test_an_archive_comes_back_from_its_destination(tmp_path, monkeypatch):
    place = Directory(str(tmp_path / "there"))
    place.label = "s3://bk/p/"
    monkeypatch.setattr(kept, "place_of", lambda _settings, _work=None: place)
    os.makedirs(tmp_path / "there")
    (tmp_path / "there" / "a.tar.gz").write_text("x")
    examined = []
    monkeypatch.setattr(archives, "examine", lambda path, passphrase: examined.append(passphrase))
    settings, here = {"to": [{"s3": S3}]}, str(tmp_path / "here")
    assert destinations.fetched(settings, "s3://bk/p/a.tar.gz", here, "pass") == here + "/a.tar.gz"
    assert examined == ["pass"]
    for url in ("s3://bk/p/missing", "s3://other/a.tar.gz", "s3://bk/p/", "s3://bk/p/../a"):
        with pytest.raises(archives.ArchiveError) as found:
            destinations.fetched(settings, url, here)
        assert found.value.id == "archive.not_fetched"
    assert os.listdir(here) == ["a.tar.gz"]


def test_a_damaged_archive_replaces_nothing(tmp_path, monkeypatch):
    place = Directory(str(tmp_path / "there"))
    place.label = "s3://bk/p/"
    monkeypatch.setattr(kept, "place_of", lambda _settings, _work=None: place)
    for name, text in (("there", "damaged"), ("here", "good")):
        os.makedirs(tmp_path / name)
        (tmp_path / name / "a.tar.gz").write_text(text)
    with pytest.raises(archives.ArchiveError) as found:
        destinations.fetched({"to": [{"s3": S3}]}, "s3://bk/p/a.tar.gz", str(tmp_path / "here"))
    assert found.value.id == "archive.not_an_archive" and str(found.value).startswith("s3://bk/p/a.tar.gz is not")
    assert os.listdir(tmp_path / "here") == ["a.tar.gz"] and (tmp_path / "here" / "a.tar.gz").read_text() == "good"
