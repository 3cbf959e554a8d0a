# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module as Ansible does, with a record of ownership in a temporary folder."""

from __future__ import annotations

import getpass
import grp
import json
import os
import time

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.kubewright.cluster.plugins.module_utils.node import ownership


@pytest.fixture
def clock(monkeypatch):
    """Let time pass only while somebody sleeps. Returns the list [seconds so far]."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


@pytest.fixture
def run_module(capsys, monkeypatch):
    """Return a function that runs a module and returns its result, with its warnings as texts."""
    warned = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _self, text, **_more: warned.append(text))

    def run(module, check=False, **arguments):
        warned.clear()
        with patch_module_args({**arguments, "_ansible_check_mode": check, "_ansible_diff": True}), pytest.raises(
            SystemExit
        ):
            module.main()
        found = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
        del found["invocation"]  # Ansible's own copy of the arguments
        return {**found, "warnings": list(warned)}

    return run


@pytest.fixture
def record(tmp_path, monkeypatch):
    """Keep the record of ownership below a temporary folder; return a function that reads it."""
    monkeypatch.setattr(ownership, "PATH", str(tmp_path / "own/owned.json"))
    monkeypatch.setattr(ownership, "BACKUPS", str(tmp_path / "own/before"))
    monkeypatch.setattr(ownership, "LOCK", str(tmp_path / "lock"))
    return ownership.read


@pytest.fixture
def me():
    """The user that runs the tests, as owner of files."""
    return {"owner": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}
