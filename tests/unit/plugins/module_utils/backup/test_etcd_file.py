# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of etcd that are read from their file: what is in them, their hash, and a higher revision."""

from __future__ import annotations

import base64
import gzip
import json
import os
import stat
from pathlib import Path

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.backup import etcd_file, snapshot
from ansible_collections.kubewright.cluster.plugins.module_utils.backup.snapshot import SnapshotError
from ansible_collections.kubewright.cluster.plugins.module_utils.base import bolt
from ansible_collections.kubewright.cluster.tests.unit.plugins.module_utils import etcd_files as files

FIXTURE = Path(__file__).parents[3] / "fixtures" / "etcd-snapshot.json"
BOOTSTRAP = b"/bootstrap/f75786238a6d"
# An object that was changed, one that was deleted, one that was deleted and made again, and two in one transaction.
RECORDS = [
    (files.revision(2), files.record(BOOTSTRAP, b"sealed")),
    (files.revision(3), files.record(b"/registry/configmaps/d/a", b"1")),
    (files.revision(4), files.record(b"/registry/configmaps/d/b", b"1")),
    (files.revision(5), files.record(b"/registry/secrets/d/s", b"k8s:enc:aescbc:v1:key1:x")),
    (files.revision(6), files.record(b"/registry/configmaps/d/a", b"2" * 9000)),
    (files.revision(7, 0, True), files.record(b"/registry/configmaps/d/b")),
    (files.revision(8), files.record(b"/registry/services/specs/d/x", b"1")),
    (files.revision(8, 1), files.record(b"/registry/services/endpoints/d/x", b"1")),
    (files.revision(9, 0, True), files.record(b"/registry/services/specs/d/x")),
    (files.revision(10), files.record(b"/registry/services/specs/d/x", b"2")),
]
STATE = [(b"consistent_index", b"\0" * 8), (b"confState", b"{}")]
COMPACTED = [*STATE, (b"finishedCompactRev", files.revision(6)), (b"scheduledCompactRev", files.revision(6))]


def write(tmp_path, data):
    path = str(tmp_path / "snapshot.db")
    with open(path, "wb") as stream:
        stream.write(files.snapshot(data))
    snapshot.check(path)
    return path


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("per_page", [1, 3, 100])
def test_objects_are_counted_at_each_revision(tmp_path, inline, per_page):
    path = write(tmp_path, files.database(RECORDS, STATE, per_page, inline))
    with etcd_file.Snapshot(path) as found:
        assert found.revision == 10
        assert etcd_file.counts(found.existing()) == {
            "configmaps": 1,
            "secrets": 1,
            "services/endpoints": 1,
            "services/specs": 1,
        }
        assert etcd_file.counts(found.existing(9)) == {"configmaps": 1, "secrets": 1, "services/endpoints": 1}
        assert etcd_file.counts(found.existing(4)) == {"configmaps": 2} and BOOTSTRAP in found.existing(2)
        assert found.first_value("secrets") == b"k8s:enc:aescbc:v1:key1:x" and found.first_value("pods") == b""


def test_the_revision_of_a_compaction_counts(tmp_path):
    """The newest records may be deletions that a compaction has removed."""
    path = write(tmp_path, files.database(RECORDS[:1], COMPACTED))
    with etcd_file.Snapshot(path) as found:
        assert found.revision == 6


def test_the_sum_is_that_of_castagnoli():
    assert etcd_file.crc32c([b"123456789"]) == 0xE3069283  # https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4
    assert etcd_file.crc32c([bytes(32)]) == 0x8A9136AA and etcd_file.crc32c([]) == 0
    assert etcd_file.crc32c([b"1", b"23", b"", b"456789"]) == 0xE3069283
    assert etcd_file.crc32c([b"\xff" * 70001, b"x"]) == etcd_file.crc32c([b"\xff" * 70001 + b"x"])


def hashed(*records):
    return etcd_file.crc32c([b"key", *(part for pair in records for part in pair)])


def test_the_hash_leaves_out_what_a_compaction_removes(tmp_path):
    path = write(tmp_path, files.database(RECORDS, STATE))
    with etcd_file.Snapshot(path) as found:
        assert found.hash_at(10, -1) == hashed(*RECORDS)
        assert found.hash_at(6, -1) == hashed(*RECORDS[:5])
        # Before the compaction: what is the newest of its key. /registry/configmaps/d/a has a newer one.
        assert found.hash_at(10, 6) == hashed(RECORDS[0], RECORDS[3], *RECORDS[4:])
        # A deletion at the very revision does not count.
        assert found.hash_at(10, 7) == hashed(RECORDS[0], RECORDS[3], RECORDS[4], *RECORDS[6:])


@pytest.mark.parametrize("state", [STATE, COMPACTED])
@pytest.mark.parametrize("inline", [True, False])
def test_a_higher_revision_is_written_and_nothing_else_changes(tmp_path, state, inline):
    path, target = write(tmp_path, files.database(RECORDS, state, inline=inline)), str(tmp_path / "bumped.db")
    assert etcd_file.bumped(path, target, 1000) == 1010
    snapshot.check(target)
    assert stat.S_IMODE(os.stat(target).st_mode) == 0o600 and os.path.getsize(target) > os.path.getsize(path)
    with etcd_file.Snapshot(path) as before, etcd_file.Snapshot(target) as after:
        assert before.revision == 10 and after.revision == 1010
        assert after.existing() == before.existing() and after.hash_at(10, -1) == before.hash_at(10, -1)
        stored = dict(after._file.items(b"meta"))
        assert stored == {**dict(state), b"scheduledCompactRev": files.revision(1010)}
        assert after._file.meta.pages * files.PAGE == os.path.getsize(target) - snapshot.DIGEST
    # The former meta page is valid too, and names the same pages.
    with open(target, "rb") as stream:
        data = stream.read()[: -snapshot.DIGEST]
    file = bolt.File(b"\0" * files.PAGE + data[files.PAGE :])
    assert file.meta.number == 8 and file.meta.pages * files.PAGE == len(data)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: b"\0" * len(data),
        lambda data: data[: 3 * files.PAGE],
        lambda data: data[: 2 * files.PAGE] + b"\0" * files.PAGE + data[3 * files.PAGE :],
        lambda data: data.replace(files.revision(6), files.revision(3)),
        lambda data: data.replace(b"\x0a\x18/registry/configmaps/d/b", b"\x0f\xff/registry/configmaps/d/b"),
        lambda data: data.replace(b"meta", b"mata"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, change):
    data = change(files.database(RECORDS, STATE))
    path = str(tmp_path / "snapshot.db")
    with open(path, "wb") as stream:
        stream.write(files.snapshot(data))
    with pytest.raises(SnapshotError), etcd_file.Snapshot(path) as found:
        found.existing()


def test_a_page_that_points_at_itself_is_refused():
    data = files.database(RECORDS, STATE)
    number = len(data) // files.PAGE
    with pytest.raises(bolt.BoltError, match="unknown kind"):
        list(bolt.File(data + files.branch(number, [(b"a", number)]))._entries(number * files.PAGE))


def test_a_snapshot_of_a_real_etcd(tmp_path):
    """What etcd said of its data when the snapshot was saved."""
    given = json.loads(FIXTURE.read_text(encoding="utf-8"))
    path = str(tmp_path / "snapshot.db")
    with open(path, "wb") as stream:
        stream.write(gzip.decompress(base64.b64decode(given["snapshot"])))
    snapshot.check(path)
    with etcd_file.Snapshot(path) as found:
        assert found.revision == given["revision"]
        assert etcd_file.counts(found.existing()) == given["counts"]
        for row in given["hashes"]:
            assert found.hash_at(row["revision"], row["compact_revision"]) == row["hash"]
