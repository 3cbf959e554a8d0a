# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calendar events: what they mean, in UTC, as systemd has it."""

from __future__ import annotations

import calendar
import re
import shutil
import subprocess
import time

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.base import schedule

# A Monday.
NOW = calendar.timegm((2026, 11, 30, 10, 30, 0))


def moment(text: str) -> int:
    return calendar.timegm(time.strptime(text, "%Y-%m-%d %H:%M:%S"))


@pytest.mark.parametrize(
    "text, wanted, before, after",
    [
        ("daily", "*-*-* 00:00:00 UTC", "2026-11-30 00:00:00", "2026-12-01 00:00:00"),
        ("weekly", "Mon *-*-* 00:00:00 UTC", "2026-11-30 00:00:00", "2026-12-07 00:00:00"),
        ("monthly", "*-*-01 00:00:00 UTC", "2026-11-01 00:00:00", "2026-12-01 00:00:00"),
        ("02:30", "02:30 UTC", "2026-11-30 02:30:00", "2026-12-01 02:30:00"),
        ("02:30 UTC", "02:30 UTC", "2026-11-30 02:30:00", "2026-12-01 02:30:00"),
        ("Mon..Fri 23:00", "Mon..Fri 23:00 UTC", "2026-11-27 23:00:00", "2026-11-30 23:00:00"),
        ("Sat,sunday 4:05:06", "Sat,sunday 4:05:06 UTC", "2026-11-29 04:05:06", "2026-12-05 04:05:06"),
        ("0/6:00", "0/6:00 UTC", "2026-11-30 06:00:00", "2026-11-30 12:00:00"),
        ("1..10/3:15", "1..10/3:15 UTC", "2026-11-30 10:15:00", "2026-12-01 01:15:00"),
        ("*:0/15", "*:0/15 UTC", "2026-11-30 10:30:00", "2026-11-30 10:45:00"),
        ("*-*-1,15 03:00", "*-*-1,15 03:00 UTC", "2026-11-15 03:00:00", "2026-12-01 03:00:00"),
        ("*-02-29", "*-02-29 UTC", "2024-02-29 00:00:00", "2028-02-29 00:00:00"),
    ],
)
def test_it_is_due_when_systemds_timer_elapses(text: str, wanted: str, before: str, after: str) -> None:
    found = schedule.parse(text)
    assert found.text == wanted
    assert (found.previous(NOW), found.following(NOW)) == (moment(before), moment(after))
    # The moment itself counts as past.
    assert found.previous(moment(after)) == moment(after)
    assert found.following(moment(before) - 1) == moment(before)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="compares with systemd-analyze")
@pytest.mark.parametrize("text", [*schedule.WORDS, "Mon..Fri 23:00", "0/6:00", "*-*-1,15 03:00", "Sat 1..10/3:20:30"])
def test_systemd_agrees(text: str) -> None:
    found = schedule.parse(text)
    now = time.time()
    out = subprocess.run(["systemd-analyze", "calendar", found.text], capture_output=True, text=True, check=True).stdout
    said = re.search(r"(?:Next elapse|\(in UTC\)): \w+ (\d\S+ \S+) UTC", out)
    assert said
    assert found.following(now) == moment(said.group(1))


@pytest.mark.parametrize(
    "text, shortest, longest",
    [("daily", 86400, 86400), ("Mon..Fri 23:00", 86400, 3 * 86400), ("monthly", 28 * 86400, 31 * 86400)]
    + [("*:0/15", 900, 900), ("3,4:00", 3600, 23 * 3600)],
)
def test_the_time_between_two_backups(text: str, shortest: int, longest: int) -> None:
    assert schedule.parse(text).gaps() == (shortest, longest)


def test_delay_and_grace_follow_the_shortest_time() -> None:
    daily, often = schedule.parse("daily"), schedule.parse("*:0/15")
    assert (daily.delay, daily.grace) == (900, 900 + 6 * 3600)
    assert (often.delay, often.grace) == (90, 90 + 450)


@pytest.mark.parametrize(
    "text, part",
    [
        ("", "is not a schedule"),
        ("fortnightly", "is not a day of the week"),
        ("*/5:00", "write 0/6 for every sixth"),
        ("25:00", "use 0 to 23"),
        ("1:60", "use 0 to 59"),
        ("2027-01-01", "has a year"),
        ("*-02-30", "too seldom, or never"),
        ("*:*", "comes every 60 s"),
        ("1:0:0/5", "several times a minute"),
        ("Fri..Mon 1:00", "ends before it begins"),
        ("1:00 Europe/Berlin", "is not a schedule"),
        ("1:2:3:4", "is not a time"),
        ("*-*-~1", "is not a number"),
        ("5/0:00", "out of range"),
    ],
)
def test_what_is_refused(text: str, part: str) -> None:
    with pytest.raises(schedule.ScheduleError, match=re.escape(part)):
        schedule.parse(text)
