# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a K3s cluster on embedded etcd on its first server. Standard library only.

K3s itself makes etcd's data of a snapshot, as the only member:
https://docs.k3s.io/cli/etcd-snapshot#restoring-snapshots
The other servers join it again, each with an empty etcd. It gives the data the revisions that they had, so they are
raised in the snapshot before (backup/etcd_file.py).
"""

from __future__ import annotations

import glob
import os
import re
from typing import Dict, List, Optional

from ..api import tls
from ..backup import etcd_file, k3s_etcd, snapshot
from ..backup.make import SNAPSHOT
from ..base import commands
from ..base.masking import masked_message
from ..base.text_files import read_text, write_atomically
from ..node import ownership, paths
from .aside import Row, delete
from .k3s import First as OnSqlite
from .stop import RestoreError, not_counted

# What K3s writes when it has done it: pkg/etcd/etcd.go (Reset). Its log may be in a file, and then it ends with 0.
DONE = "cluster membership has been reset"
# A mark that K3s leaves: pkg/etcd/etcd.go (ResetFile).
FLAG = "/server/db/reset-flag"
# It copies the directory tls to these: pkg/cluster/bootstrap.go (ReconcileBootstrapData).
TLS_COPIES = "/server/tls-[0-9]*"


class First(OnSqlite):
    """The server on embedded etcd that is restored from the archive."""

    stored = SNAPSHOT

    def _has(self, source: str, key: str) -> bool:
        """See OnSqlite. The snapshot's SHA-256 is checked too."""
        snapshot.check(source)
        with etcd_file.Snapshot(source) as found:
            return key.encode() in found.existing()

    def _build(self, source: str, target: str, raised: int) -> None:
        """Make a snapshot whose revisions are far after those that clients have seen."""
        etcd_file.bumped(source, target, raised)

    def _place_data(self, row: Row, timeout: float) -> None:
        """Let K3s make etcd's data. Safe to repeat: what was there before is put aside, the rest is of this restore."""
        self._begin_alone(row)
        delete(self.data + "/server/db")
        copies = set(glob.glob(glob.escape(self.data) + TLS_COPIES))
        reset(self.data, ["--cluster-reset-restore-path=" + self.built], timeout)
        for path in glob.glob(glob.escape(self.data) + "/server/db/etcd-old-*"):  # of this restore: it has one file
            delete(path)
        for path in set(glob.glob(glob.escape(self.data) + TLS_COPIES)) - copies:  # K3s copies what was put in place
            delete(path)

    def _begin_alone(self, row: Row) -> None:
        """Take the server to join out of the configuration: K3s refuses to restore with it. The former file is kept.

        pkg/cli/server/server.go. Once others have joined, `site` puts it back.
        """
        text, kept = read_text(paths.K3S_CONFIG), self._former_config(row)
        changed = re.sub(r"^server:.*$", "cluster-init: true", text, count=1, flags=re.M)
        if changed == text:
            return
        if not os.path.lexists(kept):
            os.makedirs(os.path.dirname(kept), mode=0o700, exist_ok=True)
            ownership.copy_with_attributes(paths.K3S_CONFIG, kept)
        info = os.stat(paths.K3S_CONFIG)
        write_atomically(paths.K3S_CONFIG, changed.encode(), info.st_mode & 0o7777, info.st_uid, info.st_gid)

    def _counts(self, revision: int, raised: int) -> Optional[Dict[str, int]]:
        """See OnSqlite. etcd drops that revision some minutes after K3s has started."""
        try:
            return snapshot.counts_at(k3s_etcd.member, revision + raised)
        except tls.NO_ANSWER as error:
            raise not_counted(error) from error


def reset(data: str, options: List[str], timeout: float) -> None:
    """Let K3s make this server the only member of etcd. data: its data directory. Raise RestoreError.

    The program may outlive this process, and then keeps the node's lock: no other run begins meanwhile.
    """
    command = [paths.k3s_program(), "server", "--cluster-reset", *options, "--etcd-s3=false"]
    done = commands.run(command, timeout=timeout, clean=True, merge=True, close_fds=False)
    made = os.path.exists(data + FLAG) and os.path.isdir(data + "/server/db/etcd/member/wal")
    if not made or (done.rc and DONE not in done.out):
        text = "K3s does not restore etcd's data (k3s server --cluster-reset): %s"
        raise RestoreError(text % masked_message(_errors(done)))


def _errors(done: commands.Result) -> str:
    """Return the last errors that K3s wrote, or its last lines."""
    lines = (done.out or done.err).strip().splitlines()
    errors = [line for line in lines if re.search(r"level=(fatal|error)|FATA|ERRO|^Error", line)]
    return "\n".join(line[:400] for line in (errors or lines)[-3:]) or "exit status %d" % done.rc
