# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify that scheduled backups are made, from a control plane that has their schedule. Standard library only."""

from __future__ import annotations

import json
import os
import time

from ..api import backup_record
from ..api.kubernetes import Api
from ..base import schedule
from ..node import paths
from .check import OK, WARN, Check, check

NAME = "backup"
HINT = "look at `journalctl -u %s` on the control planes" % paths.BACKUP_SERVICE


def checks(api: Api, settings: str = paths.BACKUP_SETTINGS, timer: str = paths.BACKUP_UNITS[1]) -> list[Check]:
    """Check the age of the last good backup, and whether one failed; nothing without a schedule. Raise ApiError.

    A cluster without a backup serves, so this is a warning. settings, timer: the files.
    """
    try:
        with open(settings, encoding="utf-8") as stream:
            due = schedule.parse(json.load(stream)["schedule"])
        since = os.path.getmtime(timer)
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [check(NAME, WARN, "the schedule of backups cannot be read: %s" % error, hint="run site again")]
    record = backup_record.read(api.get(backup_record.PATH, missing_ok=True))
    verdict = backup_record.judged(record, due, since, time.time())
    if verdict.state in ("ok", "first"):
        return [check(NAME, OK, verdict.text)]
    return [check(NAME, WARN, verdict.text, hint=HINT)]
