# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of scheduled backups: their age and failures, as a warning."""

from __future__ import annotations

import json
import os
import time

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import backup_record
from ansible_collections.kubewright.cluster.plugins.module_utils.verify import backups
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils.api.fake_api import FakeApi


@pytest.fixture
def found(tmp_path):
    """Return the checks of a cluster with a record. days: the age of the schedule."""
    settings, timer = tmp_path / "settings.json", tmp_path / "kube-backup.timer"

    def run(record=None, text='{"schedule": "hourly"}', days=10):
        settings.write_text(text)
        timer.write_text("x")
        os.utime(timer, (time.time() - days * 86400,) * 2)
        api = FakeApi()
        if record is not None:
            api.put(backup_record.PATH, {"metadata": {"annotations": {backup_record.RECORD: json.dumps(record)}}})
        return backups.checks(api, str(settings), str(timer))

    run.without = lambda: backups.checks(FakeApi(), str(settings), str(timer))
    return run


def good(hours):
    moment = time.time() - hours * 3600
    return {"good": {"time": moment, "period": moment, "name": "a.tar.gz", "node": "cp-1"}}


def test_without_a_schedule_there_is_no_check(found):
    assert found.without() == []


@pytest.mark.parametrize(
    "record, days, status, part",
    [
        (good(0), 10, "ok", " old (a.tar.gz, by cp-1)"),
        (None, 0, "ok", "the first backup is due at"),
        (None, 10, "warn", "is missing; no backup has succeeded yet"),
        (good(30), 10, "warn", "the last good backup is 30 hours old"),
        ({**good(30), "failure": {"time": time.time(), "node": "cp-2", "text": "no"}}, 10, "warn", "failed on cp-2"),
    ],
)
def test_the_age_of_the_last_good_one(found, record, days, status, part):
    (check,) = found(record, days=days)
    assert (check["name"], check["status"]) == ("backup", status) and part in check["text"]
    assert bool(check["hint"]) == (status == "warn")


@pytest.mark.parametrize("text", ["", "{}", '{"schedule": "never"}', "[]"])
def test_settings_that_cannot_be_read(found, text):
    (check,) = found(text=text)
    assert check["status"] == "warn" and check["hint"] == "run site again"
