# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scheduled backups: one control plane at a time, the record of what was backed up, and what it means."""

from __future__ import annotations

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import backup_record
from ansible_collections.kubewright.cluster.plugins.module_utils.api.backup_record import Record, Turn
from ansible_collections.kubewright.cluster.plugins.module_utils.api.kubernetes import ApiError
from ansible_collections.kubewright.cluster.plugins.module_utils.base import schedule

EMPTY = Record({}, {}, {})
MADE = {"time": 5.0, "period": 0.0, "name": "a.tar.gz", "node": "cp-1"}
GOOD = Record(MADE, {"/srv/": MADE}, {})


def turn(api, clock, node):
    return Turn(api, node, "run-of-" + node, clock, clock.sleep)


def test_the_first_one_finds_an_empty_record_and_leaves_its_own(api, clock):
    mine = turn(api, clock, "cp-1")
    assert mine.take(print) == EMPTY
    assert api.objects[backup_record.PATH]["spec"]["holderIdentity"] == "cp-1"
    mine.release(GOOD)
    assert "holderIdentity" not in api.objects[backup_record.PATH]["spec"]
    assert turn(api, clock, "cp-2").take(print) == GOOD


def test_another_one_waits_until_the_first_has_ended(api, clock):
    first, said = turn(api, clock, "cp-1"), []
    first.take(print)

    def sleep(seconds):
        clock.sleep(seconds)
        first.release(GOOD)

    second = Turn(api, "cp-2", "2", clock, sleep)
    assert second.take(said.append) == GOOD and said == ["cp-1 is making a backup: waiting for it"]
    assert api.objects[backup_record.PATH]["spec"]["holderIdentity"] == "cp-2"
    second.release()
    assert backup_record.read(api.objects[backup_record.PATH]) == GOOD


def test_a_control_plane_that_died_is_waited_for_no_longer_than_its_lease(api, clock):
    turn(api, clock, "cp-1").take(print)
    began = clock.now
    assert turn(api, clock, "cp-2").take(print) == EMPTY
    assert backup_record.LEASE_SECONDS <= clock.now - began < backup_record.LEASE_SECONDS + 10


def test_one_that_lost_its_lease_takes_nothing_away(api, clock):
    first, second = turn(api, clock, "cp-1"), turn(api, clock, "cp-2")
    first.take(print)
    clock.now += backup_record.LEASE_SECONDS + 1
    second.take(print)
    first.release()
    first.release(GOOD)
    lease = api.objects[backup_record.PATH]
    assert lease["spec"]["holderIdentity"] == "cp-2" and backup_record.read(lease) == GOOD
    second.release()


def test_who_writes_second_reads_again(api, clock):
    api.before_write = lambda: turn(api, clock, "cp-2").take(print)
    began = clock.now
    turn(api, clock, "cp-1").take(print)
    assert clock.now >= began + backup_record.LEASE_SECONDS


def test_nobody_is_waited_for_forever(api, clock):
    holder = turn(api, clock, "cp-1")
    holder.take(print)

    def sleep(seconds):
        clock.sleep(3600)
        holder._hold(api.objects[backup_record.PATH])

    with pytest.raises(ApiError, match="cp-1 has been making the backup for 12 hours"):
        Turn(api, "cp-2", "2", clock, sleep).take(print)


def test_the_lease_is_renewed_while_the_backup_goes_on(api, clock, monkeypatch):
    monkeypatch.setattr(backup_record, "RENEW_SECONDS", 0.01)
    mine = turn(api, clock, "cp-1")
    mine.take(print)
    before = api.objects[backup_record.PATH]["spec"]["renewTime"]
    clock.now += 60
    for _try in range(500):
        if api.objects[backup_record.PATH]["spec"]["renewTime"] != before:
            break
        mine._ended.wait(0.01)
    spec = api.objects[backup_record.PATH]["spec"]
    assert spec["renewTime"] != before and spec["acquireTime"] == before
    mine.release(GOOD)


def test_the_record_is_deleted_once(api, clock):
    turn(api, clock, "cp-1").take(print)
    assert backup_record.forget(api) and backup_record.PATH not in api.objects
    assert not backup_record.forget(api)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"good": 3}', '{"places": {"a": "x"}}'])
def test_a_record_that_cannot_be_read_counts_as_empty(text):
    assert backup_record.read({"metadata": {"annotations": {backup_record.RECORD: text}}}) == EMPTY
    assert backup_record.read(None) == EMPTY == backup_record.read({"metadata": {}})


def test_a_destination_is_missing_until_it_has_the_archive_of_the_period():
    new, old = {**MADE, "period": 100.0, "time": 120.0}, {**MADE, "period": 50.0}
    record = Record(old, {"a": new, "b": old}, {"text": "c refuses"})
    assert record.missing(["a", "b", "c"], 100.0) == ["b", "c"]
    assert record.missing(["a"], 50.0) == []
    assert record.complete(["a"]) == Record(new, {"a": new}, {})


HOUR, DAY = 3600.0, 86400.0
# Midnight; the schedule is due every day at that time, and late after six hours and a quarter.
DUE = 20000 * DAY
DAILY = schedule.parse("daily")


def good(due, after=HOUR):
    return {"time": due + after, "period": due, "name": "a.tar.gz", "node": "cp-1"}


@pytest.mark.parametrize(
    "record, since, now, state, part",
    [
        (EMPTY, DUE + HOUR, DUE + 2 * HOUR, "first", "the first backup is due at 2024-10-05 00:00 UTC"),
        (EMPTY, DUE - 23 * HOUR, DUE + 2 * HOUR, "first", "the first backup is due at 2024-10-04 00:00 UTC"),
        (
            EMPTY,
            DUE - 23 * HOUR,
            DUE + 7 * HOUR,
            "late",
            "the backup of 2024-10-04 00:00 UTC is missing; no backup has succeeded",
        ),
        (Record(good(DUE), {}, {}), 0, DUE + 20 * HOUR, "ok", "19 hours old (a.tar.gz, by cp-1)"),
        (Record(good(DUE - DAY), {}, {}), 0, DUE + 6 * HOUR, "ok", "29 hours old"),
        (Record(good(DUE - DAY), {}, {}), 0, DUE + 7 * HOUR, "late", "the backup of 2024-10-04 00:00 UTC is missing"),
        # The schedule was changed a moment ago.
        (Record(good(DUE - DAY), {}, {}), DUE + 5 * HOUR, DUE + 7 * HOUR, "ok", "30 hours old"),
        (
            Record(good(DUE - DAY), {}, {"time": DUE + HOUR, "node": "cp-2", "text": "s3://b/: HTTP 403."}),
            0,
            DUE + 3 * HOUR,
            "failed",
            "the backup failed on cp-2 2 hours ago (s3://b/: HTTP 403); the last good backup is 26 hours old",
        ),
        (Record(good(DUE), {}, {"time": DUE + 1, "node": "cp-2", "text": "x"}), 0, DUE + 3 * HOUR, "ok", "2 hours old"),
        (
            Record({}, {}, {"time": DUE, "node": "cp-2", "text": "x"}),
            0,
            DUE + 60,
            "failed",
            "no backup has succeeded yet",
        ),
    ],
)
def test_the_verdict(record, since, now, state, part):
    verdict = backup_record.judged(record, DAILY, since, now)
    assert verdict.state == state and part in verdict.text
    assert (verdict.age is None) == (not record.good)


def test_time_spans_in_words():
    found = [backup_record.duration(seconds) for seconds in (30, 60, 7199, 7200, 172799, 172800)]
    assert found == ["less than a minute", "1 minute", "119 minutes", "2 hours", "47 hours", "2 days"]


@pytest.mark.parametrize("what", ["take", "release"])
def test_a_lease_that_is_never_accepted_ends_the_backup(api, clock, monkeypatch, what):
    mine, before = turn(api, clock, "cp-1"), api.ask

    def conflict(method, path, body=None, patience=None):
        return (409, "{}") if method in ("POST", "PUT") else before(method, path, body, patience)

    if what == "release":
        mine.take(print)
    monkeypatch.setattr(api, "ask", conflict)
    with pytest.raises(ApiError, match="for 60 s the API has refused to write the Lease kube-system/kubewright-backup"):
        mine.take(print) if what == "take" else mine.release(GOOD)
