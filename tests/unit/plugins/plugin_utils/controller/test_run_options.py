# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of playbooks: where backups are, and where their passphrase may be."""

from __future__ import annotations

import os

import pytest
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import run_options
from ansible_collections.kubewright.cluster.tests.unit.plugins.plugin_utils.findings import ids


def backups(arguments=(), variables=None, **options):
    values = {"dir": None, "passphrase": None, "passphrase_file": None, **options}
    passphrase, problems = run_options.backups(values, variables or {}, arguments)
    return values, passphrase, ids(problems)


@pytest.mark.parametrize(
    "variables, expected",
    [
        ({}, os.path.abspath("backups")),
        ({"inventory_dir": "/inv"}, "/inv/backups"),
        ({"inventory_dir": "/inv", "ansible_inventory_sources": ["/inv"]}, "/inv.backups"),
    ],
)
def test_archives_are_beside_the_inventory(variables, expected):
    assert backups(variables=variables)[0]["dir"] == expected
    assert backups(variables=variables, dir="/srv/b")[0]["dir"] == "/srv/b"


def test_where_the_passphrase_comes_from(tmp_path, monkeypatch):
    assert backups()[1:] == ("", []) and backups()[0]["encrypted"] is False
    values, passphrase, problems = backups(passphrase="one", passphrase_file="/not/read")
    assert (values["encrypted"], passphrase, problems) == (True, "one", []) and "passphrase" not in values
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("two words \n")
    assert backups(passphrase_file="file")[1:] == ("two words ", [])


def test_passphrases_that_cannot_be_used(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert [backups(passphrase_file=name)[2] for name in ("empty", "binary", "missing")] == [
        ["backup.passphrase_file"]
    ] * 3
    for given in ("backup_passphrase=x", "{'backup_passphrase': x}"):
        assert backups((given,))[2] == ["backup.passphrase_in_arguments"]
    assert backups(("@backup_passphrase.yml", "backup_passphrase_file=x", "other=1"))[2] == []
