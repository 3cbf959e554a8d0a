# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service does not look older than its files because the machine slept or its clock was set back."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.detect import software
from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths
from ansible_collections.kubewright.cluster.tests.unit.fixtures.recording import Files

BOOT, TICKS = 1_000_000.0, 100


class Host:
    """A machine whose process 7 started so many seconds after boot."""

    def __init__(self, seconds):
        self.stat = "7 (a) b) S " + " ".join(["0"] * 18 + [str(int(seconds * TICKS))])

    def read(self, path):
        return self.stat if path == "/proc/7/stat" else None


def started(seconds=None, **values):
    return software._started(Host(seconds or 0), {"MainPID": "7" if seconds else "0", **values}, BOOT, TICKS)


def test_a_machine_that_slept_since_boot():
    """Eight hours of sleep are in the process's time and not in systemd's."""
    assert started(40_000, ExecMainStartTimestampMonotonic=str(11_200 * 10**6)) == BOOT + 40_000


def test_a_clock_that_was_set_back():
    """What the clock said at the start counts, as it does for the files."""
    said = "Tue 1970-01-20 14:00:00 UTC"
    assert started(40_000, ExecMainStartTimestamp=said) == 19 * 86400 + 14 * 3600 > BOOT + 40_000


def test_a_clock_that_was_wrong_until_it_was_synchronised():
    assert started(40, ExecMainStartTimestamp="Thu 1970-01-01 00:00:40 UTC") == BOOT + 40


@pytest.mark.parametrize("values", [{}, {"ExecMainStartTimestamp": "n/a", "ExecMainStartTimestampMonotonic": "0"}])
def test_an_unknown_start_is_unknown(values):
    assert started(**values) is None


TIMER = """LoadState=loaded
ActiveState=active
UnitFileState=enabled
ActiveEnterTimestamp=Tue 1970-01-20 14:00:00 UTC
ActiveEnterTimestampMonotonic=40000000000
"""


def test_a_timer_is_as_old_as_its_state():
    class Timed(Files):
        def run(self, argv, *_arguments, **_named):
            return TIMER if argv[-1] == paths.BACKUP_TIMER else ""

    found = software.services(Timed({"/run/systemd/system/x": "", paths.BACKUP_UNITS[1]: "x"}), BOOT, TICKS)
    row = found[paths.BACKUP_TIMER]
    assert (row["exists"], row["active"], row["enabled"]) == (True, "active", "enabled")
    assert row["started_epoch"] == 19 * 86400 + 14 * 3600
    assert paths.BACKUP_TIMER not in software.services(Timed({"/run/systemd/system/x": ""}), BOOT, TICKS)
