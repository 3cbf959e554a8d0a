# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that a control plane's timer starts: one backup of the cluster for each time that the schedule names.

Standard library only. Each control plane has it, and none is special: whoever comes first makes the archive, with the
code of the playbook backup, and sends it to the destinations. The others find it in the record and end. One that finds
it missing at a destination, because the first one failed or died, makes it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
import uuid
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Sequence

from ..api import kubernetes
from ..api.backup_record import Record, Turn, shown
from ..api.kubernetes import Api, ApiError
from ..base import recipients, schedule
from ..base.masking import masked_message
from ..destinations import copies, naming
from ..destinations.places import PlaceError
from ..node import ownership, paths
from . import make, make_k3s
from .make import BackupError

# An archive on its way to the destinations. The next playbook backup deletes what is in the place where it was made.
OUTGOING = paths.OWN_DATA + "/outgoing"
START_SECONDS = 600
AGAIN = "The other control planes try it too; to try again here: systemctl start %s" % paths.BACKUP_SERVICE
NOW = "--now"
Say = Callable[[str], Any]


class Sent(NamedTuple):
    """What became of an archive. name: of it. node: that made it. places: destinations that have it. failures: why
    others have not."""

    name: str
    node: str
    places: List[str]
    failures: List[str]


def main(arguments: Sequence[str]) -> int:
    """Back up if it is due. arguments: the file with the settings, and NOW to back up in any case."""
    signal.signal(signal.SIGTERM, _end)
    # <3>: an error in the journal, https://man7.org/linux/man-pages/man3/sd-daemon.3.html
    node = os.uname()[1]
    try:
        with open(arguments[0], encoding="utf-8") as stream:
            settings = json.load(stream)
        return run(settings, NOW in arguments[1:], node, _say)
    except (BackupError, ApiError, ownership.OwnershipError, schedule.ScheduleError, OSError, ValueError) as error:
        _say("<3>%s: no backup was made: %s" % (node, masked_message(str(error) or type(error).__name__)))
        _say("<3>%s" % AGAIN)
        return 1


def _end(_signal: int, _frame: Any) -> None:
    """End as after an error, so that what was made meanwhile is deleted."""
    raise SystemExit("the backup was stopped")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run(settings: Mapping[str, Any], forced: bool, node: str, say: Say) -> int:
    """Back up if it is due. Return the exit status. Raise BackupError, ApiError, OwnershipError or OSError.

    settings: cluster (its name), schedule, keep, to, recipients, proxy. forced: also if it is not due.
    """
    if not os.path.exists(paths.admin()):
        say("%s is not a control plane of a running cluster yet: nothing to back up" % node)
        return 0
    due = schedule.parse(settings["schedule"])
    turn = Turn(api(), node, uuid.uuid4().hex)
    record = turn.take(say)
    after: Record | None = None
    try:
        period, places = due.previous(time.time()), labels(settings["to"])
        missing = record.missing(places, period)
        if not missing and not forced:
            # A destination that failed may not be in the settings any more.
            after = record.complete(places)
            text = "The backup of %s exists: %s, made by %s. To make another one: %s"
            command = "%s %s %s %s" % (sys.executable, paths.BACKUP_PROGRAM, paths.BACKUP_SETTINGS, NOW)
            say(text % (shown(period), after.good["name"], after.good["node"], command))
            return 0
        try:
            sent = backed_up(settings, places if forced else missing, node, say)
        except (BackupError, ownership.OwnershipError, OSError) as error:
            after = failed(record, node, str(error))
            raise
        after = recorded(record, sent, places, period)
        return said(sent, places if forced else missing, say)
    finally:
        try:
            turn.release(after)
        except ApiError as error:  # what became of the archive counts: another control plane may make one more
            say("<3>%s: the record of backups was not written: %s" % (node, error))


def api() -> Api:
    """Return a client of this node's own API server, which may still be starting. Raise ApiError."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            found = Api([kubernetes.local_server()])
            status, text = found.ask("GET", "/readyz")
            if status == 200:
                return found
            raise ApiError("this node's API server is not ready: %s" % kubernetes.reason(status, text), status)
        except ApiError:
            if time.monotonic() > deadline:
                raise
        time.sleep(5)


def labels(wanted: Sequence[Mapping[str, Any]]) -> List[str]:
    """Return what the destinations are called, each with another name."""
    found: List[str] = []
    for number, entry in enumerate(wanted):
        try:
            label = copies.place_of(entry).label
        except PlaceError:
            label = "destination %d" % number
        found.append(label if label not in found else "%s (%d)" % (label, number))
    return found


def backed_up(settings: Mapping[str, Any], wanted: Sequence[str], node: str, say: Say) -> Sent:
    """Make an archive and send it to the destinations of these names. Raise BackupError, OwnershipError or OSError."""
    given = [(label, entry) for label, entry in zip(labels(settings["to"]), settings["to"]) if label in wanted]
    shutil.rmtree(OUTGOING, ignore_errors=True)
    os.makedirs(OUTGOING, mode=0o700)
    try:
        with ownership.lock_node():
            made = make_k3s.of_this_node(settings["cluster"])
            manifest = made["manifest"]
            name = naming.file_name(manifest, bool(settings.get("recipients")))
            path = os.path.join(OUTGOING, name)
            if settings.get("recipients"):
                encrypted(made["path"], path, settings["recipients"])
            else:
                os.replace(made["path"], path)
            make.clean()
        say("%s: made and verified, %d KiB" % (name, made["size"] >> 10))
        entries, start = [entry for _label, entry in given], naming.prefix(manifest)
        rows = copies.keep(entries, path, name, start, settings["keep"], OUTGOING, settings["proxy"])
    finally:
        shutil.rmtree(OUTGOING, ignore_errors=True)
    good = [label for (label, _entry), row in zip(given, rows) if not row.get("error")]
    return Sent(name, node, good, copies.failures(rows))


def encrypted(source: str, target: str, wanted: Sequence[str]) -> None:
    """Encrypt an archive for the holders of keys. Raise BackupError or OSError."""
    try:
        recipients.encrypt(source, target, wanted)
    except recipients.RecipientError as error:
        raise BackupError("the archive cannot be encrypted for kube_backup.recipients: %s" % error) from None


def recorded(record: Record, sent: Sent, places: Sequence[str], period: float) -> Record:
    """Return the record after an archive was sent. period: when it was due."""
    # Destinations that are not in the settings any more are dropped.
    known = {place: record.places[place] for place in places if place in record.places}
    made: Dict[str, Any] = {"time": time.time(), "period": period, "name": sent.name, "node": sent.node}
    record = record._replace(places={**known, **dict.fromkeys(sent.places, made)})
    if sent.failures:
        return failed(record, sent.node, " ".join(sent.failures))
    return record.complete(places)


def failed(record: Record, node: str, text: str) -> Record:
    """Return the record after a failure."""
    why = masked_message(text)[:1000]
    return record._replace(failure={"time": time.time(), "node": node, "text": why})


def said(sent: Sent, wanted: Sequence[str], say: Say) -> int:
    """Say what became of an archive. Return the exit status."""
    for place in sent.places:
        say("%s: sent to %s, and read back" % (sent.name, place))
    if not sent.failures:
        return 0
    text = "<3>%s: the archive %s is missing at %d of %d destinations. %s"
    say(text % (sent.node, sent.name, len(sent.failures), len(wanted), masked_message(" ".join(sent.failures))))
    say("<3>%s" % AGAIN)
    return 1
