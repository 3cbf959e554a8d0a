# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the control planes know of the scheduled backups, in the Lease kube-system/kubewright-backup. Standard library
only.

Its holder is the control plane that backs up now; when that dies, the Lease ends a moment later and another one may
begin. An annotation of it has the last good backup, and the last failure.
https://kubernetes.io/docs/concepts/architecture/leases/#custom-workload
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Sequence

from ..base.schedule import Schedule
from . import readiness
from .kubernetes import Api, ApiError
from .lock import LEASES, micro_time, write_lease

NAME = "kubewright-backup"
PATH = LEASES + "/" + NAME
RECORD, RUN = "kubewright.cluster/backups", "kubewright.cluster/run"
# The Lease of a control plane that has died ends after so long; a living one renews it in time.
LEASE_SECONDS, RENEW_SECONDS, ASK_SECONDS = 120, 20, 5
# The longest wait for a control plane that is at work: a large archive takes long to send.
WAIT_SECONDS = 12 * 3600
# Somebody else wrote the Lease in between: it is read again after so long, and not for ever.
AGAIN_SECONDS, CONTENDED_SECONDS = 0.2, 60
NEVER_WRITTEN = (
    "for %d s the API has refused to write the Lease kube-system/kubewright-backup, as if others wrote it each time. "
    "Look at the API server's log, and at its admission webhooks."
)


class Record(NamedTuple):
    """What was backed up. Times are in seconds since 1970.

    good: the last backup that all destinations have, {time, period, name, node}; {} if there is none. period: when it
    was due. places: the same of the newest archive at each destination. failure: the last one after that, {time, node,
    text}.
    """

    good: Dict[str, Any]
    places: Dict[str, Dict[str, Any]]
    failure: Dict[str, Any]

    def missing(self, places: Sequence[str], period: float) -> List[str]:
        """Return the destinations that have no archive of a period. period: when it was due."""
        return [place for place in places if (self.places.get(place) or {}).get("period", 0) < period]

    def complete(self, places: Sequence[str]) -> Record:
        """Return the record of a cluster whose destinations, all of these and no others, have their archives."""
        known = {place: self.places[place] for place in places}
        return Record(dict(max(known.values(), key=lambda row: float(row["time"]))), known, {})


def read(lease: Mapping[str, Any] | None) -> Record:
    """Return the record in a Lease. One that cannot be read counts as empty: then there is one more backup."""
    notes = ((lease or {}).get("metadata") or {}).get("annotations") or {}
    try:
        found = json.loads(notes.get(RECORD) or "{}")
        good, places, failure = (dict(found.get(name) or {}) for name in Record._fields)
        return Record(good, {str(name): dict(value) for name, value in places.items()}, failure)
    except (ValueError, TypeError, AttributeError):
        return Record({}, {}, {})


def forget(api: Api) -> bool:
    """Delete the Lease with the record. Return True if there was one. Raise ApiError."""
    return api.delete(PATH) is not None


class Turn:
    """The right to back up, which one control plane has at a time. node: its name. run: the same for one run only."""

    def __init__(
        self,
        api: Api,
        node: str,
        run: str,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Any] = time.sleep,
    ) -> None:
        self._api, self._node, self._run, self._now, self._sleep = api, node, run, now, sleep
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, say: Callable[[str], Any]) -> Record:
        """Wait until no other control plane backs up, and hold the Lease. Return the record. Raise ApiError.

        say: called with what it waits for.
        """
        deadline, contended, said = self._now() + WAIT_SECONDS, self._now() + CONTENDED_SECONDS, ""
        while True:
            lease = self._api.get(PATH, missing_ok=True)
            holder = self._other(lease)
            if not holder and self._hold(lease):
                self._thread = threading.Thread(target=self._renew, daemon=True)
                self._thread.start()
                return read(lease)
            if holder and self._now() > deadline:
                raise ApiError("%s has been making the backup for %d hours" % (holder, WAIT_SECONDS // 3600))
            if holder and holder != said:
                say("%s is making a backup: waiting for it" % holder)
                said = holder
            if holder:
                contended = self._now() + CONTENDED_SECONDS
            elif self._now() > contended:
                raise ApiError(NEVER_WRITTEN % CONTENDED_SECONDS)
            self._sleep(ASK_SECONDS if holder else AGAIN_SECONDS)

    def release(self, record: Record | None = None) -> None:
        """Give the turn back, with a new record of it if there is one. Raise ApiError."""
        self._ended.set()
        if self._thread:
            self._thread.join()
        contended = self._now() + CONTENDED_SECONDS
        while True:
            lease = self._api.get(PATH, missing_ok=True)
            taken = bool(self._other(lease))
            if record is None and (lease is None or taken):
                return
            notes = {} if record is None else {RECORD: json.dumps(record._asdict(), sort_keys=True)}
            if self._put(lease, notes, lease["spec"] if lease and taken else {}):
                return
            if self._now() > contended:
                raise ApiError(NEVER_WRITTEN % CONTENDED_SECONDS)
            self._sleep(AGAIN_SECONDS)

    def _renew(self) -> None:
        """Say that this control plane is still at work. A silent API may answer again in time."""
        while not self._ended.wait(RENEW_SECONDS):
            try:
                lease = self._api.get(PATH, missing_ok=True)
                if lease is not None and _run(lease) == self._run:
                    self._hold(lease)
            except ApiError:
                continue

    def _other(self, lease: Mapping[str, Any] | None) -> str:
        """Return who else holds the Lease now, "" if nobody does."""
        spec = (lease or {}).get("spec") or {}
        if lease is None or not spec.get("holderIdentity") or _run(lease) == self._run:
            return ""
        left = readiness.moment(spec.get("renewTime")) + (spec.get("leaseDurationSeconds") or 0) - self._now()
        return str(spec["holderIdentity"]) if left > 0 else ""

    def _hold(self, lease: Mapping[str, Any] | None) -> bool:
        """Take the Lease, or renew it. Return False if somebody else wrote it in the meantime."""
        now, old = micro_time(self._now()), (lease or {}).get("spec") or {}
        mine = lease is not None and _run(lease) == self._run
        spec = {
            "holderIdentity": self._node,
            "leaseDurationSeconds": LEASE_SECONDS,
            "acquireTime": old.get("acquireTime") if mine else now,
            "renewTime": now,
        }
        return self._put(lease, {RUN: self._run}, spec)

    def _put(self, lease: Mapping[str, Any] | None, notes: Mapping[str, str], spec: Mapping[str, Any]) -> bool:
        """Write the Lease with more annotations. Return False if somebody else wrote it in the meantime."""
        known = ((lease or {}).get("metadata") or {}).get("annotations") or {}
        return write_lease(self._api, NAME, lease, {**known, **notes}, spec)


class Verdict(NamedTuple):
    """Whether the backups are as the schedule wants them.

    state: ok, late, failed or first. age: of the last good one, in seconds.
    """

    state: str
    text: str
    age: float | None


def judged(record: Record, schedule: Schedule, since: float, now: float) -> Verdict:
    """Judge a record. since: when the schedule was set up."""
    time_of = record.good.get("time")
    age = now - time_of if time_of else None
    last = "the last good backup is %s old (%s, by %s)" % (
        duration(age or 0),
        record.good.get("name"),
        record.good.get("node"),
    )
    last = last if time_of else "no backup has succeeded yet"
    if record.failure and record.failure.get("time", 0) > record.good.get("time", 0):
        text = "the backup failed on %s %s ago (%s); %s"
        failed = record.failure
        why = str(failed.get("text")).rstrip(".")
        return Verdict("failed", text % (failed.get("node"), duration(now - failed["time"]), why, last), age)
    due = schedule.previous(now - schedule.grace)
    if due < since and not time_of:
        return Verdict("first", "the first backup is due at %s" % shown(schedule.following(max(since, due))), None)
    if due >= since and record.good.get("period", 0) < due:
        return Verdict("late", "the backup of %s is missing; %s" % (shown(due), last), age)
    return Verdict("ok", last, age)


def duration(seconds: float) -> str:
    """Return a time span in words."""
    for unit, length in (("days", 86400), ("hours", 3600)):
        if seconds >= 2 * length:
            return "%d %s" % (seconds // length, unit)
    minutes = int(seconds // 60)
    return ("less than a minute", "1 minute")[minutes] if minutes < 2 else "%d minutes" % minutes


def shown(moment: float) -> str:
    """Return a time as people read it."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))


def _run(lease: Mapping[str, Any]) -> str:
    return str(((lease.get("metadata") or {}).get("annotations") or {}).get(RUN) or "")
