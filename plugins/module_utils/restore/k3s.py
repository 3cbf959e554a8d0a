# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a K3s cluster on its first server, from the parts of an archive, and undo that. Standard library only.

What is here is for SQLite, and for all datastores; k3s_etcd.py has what embedded etcd needs, and k3s_sql.py what an
external database does. Database, token, authorities and credentials belong together: K3s refuses a datastore with other
ones. What a server had is kept in a
dated directory. Pods keep running, as with every restart of K3s.
https://docs.k3s.io/datastore/backup-restore
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..api import lock
from ..api.kubernetes import Api, local_server
from ..backup import k3s, k3s_sql, sqlite
from ..base.text_files import read_text, write_secret
from ..k3s import readiness, runner, tokens
from ..node import ownership, paths, services
from . import parts as parts_module
from .aside import PLACED, STOPPED, STOPPING, Journal, Row, delete
from .parts import Manifest, Parts, differing, raised_by
from .stop import RestoreError, refuse_without_space

UNIT = "k3s"
DATABASE = "/server/db/state.db"
BUILT = "built.db"
SPACE_MORE = 100 << 20
MACHINE_ID = "/etc/machine-id"
# What a server has of its cluster, below its data directory and in /etc/rancher/k3s. The agent's identity stays.
SERVER = ("db", "tls", "cred", "token", "agent-token", "node-token")
CONFIGURATION = ("token", "agent-token", "k3s.yaml")


def bump(path: str, by: int) -> None:
    """Let a database begin at a much higher revision, and mark the ones before as compacted. Raise SnapshotError.

    kine's revision is the highest ID of a row. A row of this name and kind is what it fills gaps with, and nobody sees
    it: pkg/logstructured/sqllog/sql.go and pkg/drivers/generic/generic.go (Fill, SetCompactRevision).
    """
    with sqlite.opened(path, write=True) as database:
        revision = database.execute("SELECT MAX(id) FROM kine").fetchone()[0] + by
        database.execute("BEGIN IMMEDIATE")
        # What kine's own compaction would delete: it looks only at rows after the former compaction.
        database.execute(
            "DELETE FROM kine WHERE name != 'compact_rev_key' "
            "AND (deleted != 0 OR id NOT IN (SELECT MAX(id) FROM kine GROUP BY name))"
        )
        row = (revision, "gap-%d" % revision, 0, 1, 0, 0, 0, None, None)
        database.execute(k3s_sql.INSERT, row)
        database.execute("UPDATE kine SET prev_revision = ? WHERE name = 'compact_rev_key'", (revision,))
        database.execute("COMMIT")


class Server:
    """This node as a server of a K3s cluster. name: of its Node. data: K3s's data directory."""

    def __init__(self, name: str, data: str) -> None:
        self.name, self.data = name, data
        self.journal = Journal(former=data)

    # -- stop and undo ---------------------------------------------------------------------------------------------

    def stop(self, archive: str, at: str, leader: str) -> bool:
        """Stop K3s and put its data aside. Return True if anything was done. Raise RestoreError or OSError.

        A server that joins again needs that too: with its former data it would look for the former members, and with
        other keys than the cluster's it does not start. archive: its ID. at: when the run began, for the directory's
        name. leader: the host that is restored.
        """
        row = self.journal.read()
        if row.get("archive") == archive and row["step"] != STOPPING:
            return False
        if row.get("archive") != archive:
            row = {
                "archive": archive,
                "at": at,
                "leader": leader,
                "first": True,
                "step": STOPPING,
                "data_dir": self.data,
            }
        self.journal.write(row)
        self._end()
        for source, target in self._moves(row):
            if os.path.lexists(source) and not os.path.lexists(target):
                os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
                _move(source, target)
        row["step"] = STOPPED
        self.journal.write(row)
        return True

    def undo(self, put_back: Callable[[Row], None] = lambda _row: None) -> bool:
        """Put back what this server had, and start it. Return True if anything was done. Raise RestoreError.

        put_back: puts back what is kept elsewhere.
        """
        row = self.journal.read()
        left = parts_module.clean()
        if not row:
            return left
        self._end()
        if row["step"] != STOPPING:  # what has no former one; after that, what has its place is a former one
            for source, target in self._moves(row):
                if not os.path.lexists(target):
                    delete(source)
            row["step"] = STOPPING
            self.journal.write(row)
        changed = [(paths.K3S_CONFIG, self._former_config(row))]
        for place, former in changed + self._moves(row)[::-1]:
            if os.path.lexists(former):
                delete(place)
                _move(former, place)
        shutil.rmtree(self._place(row), ignore_errors=True)  # empty directories
        put_back(row)
        if os.path.isdir(self.data + "/server/tls"):
            runner.start(UNIT, True, self.data)
        self.journal.end()
        return True

    def _place(self, row: Row) -> str:
        return "%s/before-%s" % (self.data, row["at"])

    def _former_config(self, row: Row) -> str:
        """Return where the configuration is kept that the restore changed."""
        return self._place(row) + "/etc/config.yaml"

    def _moves(self, row: Row) -> List[Tuple[str, str]]:
        """Return (where it is, where it is kept)."""
        place = self._place(row)
        server = [("%s/server/%s" % (self.data, name), "%s/server/%s" % (place, name)) for name in SERVER]
        return server + [("%s/%s" % (paths.K3S, name), "%s/etc/%s" % (place, name)) for name in CONFIGURATION]

    @staticmethod
    def _end() -> None:
        manager = services.here()
        if not manager.is_down(UNIT):
            runner.stop(UNIT)
        if not manager.is_down(UNIT):
            raise RestoreError("K3s does not stop. Look at its log (journalctl -u %s), then run this again." % UNIT)


class First(Server):
    """The server on SQLite that is restored from the archive. parts: of the archive. manifest: what is in it.

    stored: the part with the datastore.
    """

    stored = k3s.DATABASE

    def __init__(self, name: str, data: str, parts: Parts, manifest: Manifest) -> None:
        super().__init__(name, data)
        self.parts, self.manifest = parts, manifest
        self.built = os.path.join(parts.place, BUILT)

    def prepare(self, at: str) -> None:
        """Do what can fail before anything is stopped: check the parts, and make the database beside the former one.

        at: when the run began. Raise RestoreError, PartsError, SnapshotError or OSError.
        """
        self.parts.check()
        if self.journal.read().get("step") == PLACED:
            return
        source = self.parts.path(self.stored)
        for place in (self.parts.place, self.data):
            refuse_without_space(place, os.path.getsize(source) + SPACE_MORE)
        key = k3s.bootstrap_key(self.parts.content(k3s.TOKEN).decode("utf-8", "replace"))
        if not self._has(source, key):
            text = "the archive's token does not open its database (%s is missing there). Use another archive."
            raise RestoreError(text % key)
        unfinished = self.built + ".partial"
        delete(unfinished)
        self._build(source, unfinished, raised_by(self.manifest, at))
        os.replace(unfinished, self.built)

    def _has(self, source: str, key: str) -> bool:
        """Return True if the saved datastore has a key."""
        return sqlite.has(source, key)

    def _build(self, source: str, target: str, raised: int) -> None:
        """Make the data that are put in place. raised: by how much their revisions are raised."""
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        shutil.copyfile(source, target)
        bump(target, raised)

    def start(self, keep: List[str], replaced: List[str], timeout: float) -> Dict[str, Any]:
        """Put everything in place and start K3s. Return {seconds, counts, wrong, deleted}, as start.py does."""
        row = self.journal.read()
        if row.get("archive") != self.parts.archive or row.get("step") not in (STOPPED, PLACED):
            raise RestoreError("the server was not stopped for this restore. Run restore again.")
        began = time.monotonic()
        if row["step"] == STOPPED:
            self._put(row, timeout)
            row["step"] = PLACED
            self.journal.write(row)
            runner.start(UNIT, True, self.data)
        elif not services.here().active(UNIT):
            runner.start(UNIT, False, self.data)
        runner.wait(self.name, UNIT, lambda: readiness.serving_problem(self.name), True, int(timeout))
        seconds = round(time.monotonic() - began, 1)
        store = self.manifest["datastore"]
        counts = self._counts(int(store["revision"]), raised_by(self.manifest, row["at"]))
        wrong = differing(store["counts"], counts)
        deleted = [] if wrong else self._forget(keep, replaced)
        self.journal.end()  # what is left is site's
        self.parts.remove()
        return {"seconds": seconds, "counts": counts or {}, "wrong": wrong, "deleted": deleted}

    def _counts(self, revision: int, _raised: int) -> Optional[Dict[str, int]]:
        """Return the restored objects by kind, as of the archive's revision; None if that revision is gone. Raise
        RestoreError if nothing says what there is."""
        return sqlite.counts_at(self.data + DATABASE, revision)

    def _put(self, row: Row, timeout: float) -> None:
        """Put the archive's files in place, the database last. Safe to repeat."""
        self.parts.check()
        if not os.path.isfile(self.built):
            raise RestoreError("the database was not prepared. Run restore again.")
        wanted = [name for name in sorted(self.parts.rows) if name.startswith(("server/tls/", "server/cred/"))]
        for name in [*wanted, k3s.TOKEN, "server/agent-token"]:
            if name in self.parts.rows:
                target = k3s.place_of(name, self.data)
                os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
                self.parts.put(name, target)
                # K3s does not start if a file is newer than the same one in its datastore and differs from it:
                # pkg/cluster/bootstrap.go (ReconcileBootstrapData). The datastore's is the one that counts.
                os.utime(target, (0, 0))
        if "etc/agent-token" in self.parts.rows:
            secret = self.parts.content("etc/agent-token").decode("utf-8", "replace")
            write_secret(paths.K3S_AGENT_TOKEN, tokens.password(secret.strip()))
        tokens.make(self.data)
        self._place_data(row, timeout)

    def _place_data(self, _row: Row, _timeout: float) -> None:
        """Put the prepared database in place. Safe to repeat."""
        target = self.data + DATABASE
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        for ending in ("-wal", "-shm"):  # of a start that was killed
            delete(target + ending)
        shutil.copyfile(self.built, target + ".partial")
        os.chmod(target + ".partial", 0o600)
        with open(target + ".partial", "rb") as stream:
            os.fsync(stream.fileno())
        os.replace(target + ".partial", target)

    def _forget(self, keep: List[str], replaced: List[str]) -> List[str]:
        """Delete the Nodes of machines that are not nodes any more, and their passwords. Return their names."""
        api = Api([local_server()], paths.K3S_ADMIN)
        known = {row["name"]: row.get("machine_id") for row in self.manifest["cluster"].get("nodes") or []}
        own = read_text(MACHINE_ID).strip()
        if known.get(self.name) not in (None, own):
            # Another machine has its name now. K3s refuses it until the former one's password is gone.
            tokens.forget_password(api, self.name)
        api.delete(lock.PATH)  # of a run that changed the cluster while it was saved
        names = [item["metadata"]["name"] for item in api.get("/api/v1/nodes")["items"] or []]
        gone = [name for name in names if name not in keep or name in replaced]
        for name in gone:
            tokens.forget_node(api, name)
        return gone


def _move(source: str, target: str) -> None:
    """Rename something, also to another file system. What is at the target is complete."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        ownership.copy_with_attributes(source, target)
        os.unlink(source)
