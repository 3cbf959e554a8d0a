# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a snapshot or database of etcd, read from its file: objects by kind, and the hash that etcd gives for a
revision.

For K3s, whose nodes have no program of etcd that could serve the snapshot. Sources: server/storage/mvcc of
go.etcd.io/etcd, in it revision.go (keys of the file), hash.go and key_index.go (the hash), kvstore.go (revisions).
Standard library only.
"""

from __future__ import annotations

import array
import json
import os
import shutil
import sys
from bisect import bisect_left
from typing import Any, Dict, Iterable, Iterator, List, Set, Tuple

from ..api.etcd import OBJECTS
from ..base import bolt
from .snapshot import DIGEST, SnapshotError, after, kind_of, seal
from .stored_objects import fields

DATA, STATE, MEMBERS = b"key", b"meta", b"members"
SCHEDULED, FINISHED = b"scheduledCompactRev", b"finishedCompactRev"
# A revision: number, separator, number within its transaction; a deletion has a mark behind that.
REVISION, DELETED = 17, b"t"
# Fields of mvccpb.KeyValue: api/mvccpb/kv.proto
KEY, VALUE = 1, 5


class Snapshot:
    """A snapshot that is read from its file. Every method raises SnapshotError if it is damaged. Close it.

    digest: size of what follows the data; 0 for the database of a member.
    """

    def __init__(self, path: str, digest: int = DIGEST) -> None:
        size = os.path.getsize(path) - digest
        if size <= 0:
            raise SnapshotError("the etcd snapshot is cut short")
        with open(path, "rb") as stream:
            self._data = bolt.mapped(stream, size)
        try:
            self._file = bolt.File(self._data)
        except bolt.BoltError as error:
            raise _damaged(error) from None
        self.revision = self._newest_revision()
        # What exists at the last revision that was asked for.
        self._known: Dict[int, Dict[bytes, bytes]] = {}

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *_error: object) -> None:
        self._data.close()

    def _newest_revision(self) -> int:
        """Return the revision with which an etcd that has these data begins."""
        state = dict(self._items(STATE))
        found = [main(bytes(state[name])) for name in (SCHEDULED, FINISHED) if name in state]
        newest = b""
        for revision, _value in self._items(DATA):
            if len(revision) < REVISION or revision[8:9] != b"_" or revision[:REVISION] <= newest:
                raise SnapshotError("the etcd snapshot is damaged: its revisions are not in order")
            newest = bytes(revision[:REVISION])
        return max([1, *found, main(newest) if newest else 1])

    def existing(self, at: int = 0) -> Dict[bytes, bytes]:
        """Return {key: revision of its value} of all keys that exist at a revision, the newest by default.

        One without a name may be there: etcdutl raises the revision with it.
        """
        at = at or self.revision
        if at in self._known:
            return self._known[at]
        found: Dict[bytes, bytes] = {}
        for revision, record in self._records(at):
            key = parsed(record)[0]
            if is_deleted(revision):
                found.pop(key, None)
            else:
                found[key] = revision
        self._known = {at: found}
        return found

    def values(self, prefix: str) -> Dict[str, bytes]:
        """Return {key: value} of the keys that begin with a prefix."""
        known = {revision: key for key, revision in self.existing().items() if key.startswith(prefix.encode())}
        wanted = (
            (known[bytes(revision)], record) for revision, record in self._items(DATA) if bytes(revision) in known
        )
        return {key.decode("utf-8", "replace"): parsed(record)[1] for key, record in wanted}

    def members(self) -> List[Dict[str, Any]]:
        """Return the members of etcd, {name, peerURLs, isLearner}: membership/storev2.go and storage/schema."""
        try:
            return [json.loads(bytes(value)) for _id, value in self._items(MEMBERS)]
        except ValueError as error:
            raise _damaged(error) from None

    def first_value(self, kind: str) -> bytes:
        """Return how the first value of a kind begins, b"" if there is none: see snapshot.first_value()."""
        prefix = (OBJECTS + kind + "/").encode()
        known = {key: revision for key, revision in self.existing().items() if key.startswith(prefix)}
        wanted = known[min(known)] if known else b""
        return next((parsed(record)[1][:200] for revision, record in self._items(DATA) if revision == wanted), b"")

    def hash_at(self, at: int, compacted: int) -> int:
        """Return the hash of all records up to a revision, of an etcd that was last compacted at another one."""
        return crc32c(self._hashed(at, compacted, set(self.existing(at).values())))

    def _hashed(self, at: int, compacted: int, kept: Set[bytes]) -> Iterator[bytes]:
        yield DATA
        for revision, value in self._records(at):
            number = main(revision)
            if number <= compacted and kept and revision not in kept:
                continue
            if number == compacted and is_deleted(revision):
                continue
            yield revision
            yield value

    def _records(self, at: int) -> Iterator[Tuple[bytes, bytes]]:
        for revision, value in self._items(DATA):
            if main(revision) <= at:
                yield revision, value

    def _items(self, bucket: bytes) -> Iterator[Tuple[bytes, bytes]]:
        try:
            yield from self._file.items(bucket)
        except bolt.BoltError as error:
            raise _damaged(error) from None


def _damaged(error: Exception) -> SnapshotError:
    return SnapshotError("the etcd snapshot is damaged: %s" % error)


def main(revision: bytes) -> int:
    """Return the number of a revision."""
    return int.from_bytes(revision[:8], "big")


def is_deleted(revision: bytes) -> bool:
    """Return True if a record deletes its key."""
    return revision[REVISION:] == DELETED


def parsed(record: bytes) -> Tuple[bytes, bytes]:
    """Return (key, value) of a record; both are empty in one that only raises the revision."""
    try:
        found = fields(record)
    except ValueError as error:
        raise _damaged(error) from None
    return found.get(KEY, [b""])[0], found.get(VALUE, [b""])[0]


def counts(keys: Iterable[bytes]) -> Dict[str, int]:
    """Return the number of objects by kind, as snapshot.contents() counts them."""
    names = sorted(key.decode("utf-8", "replace") for key in keys)
    found: Dict[str, int] = {}
    place = bisect_left(names, OBJECTS)
    while place < len(names) and names[place].startswith(OBJECTS):
        prefix = kind_of(names[place])
        following = bisect_left(names, after(prefix))
        found[prefix[len(OBJECTS) :].rstrip("/")] = following - place
        place = following
    return found


def bumped(source: str, target: str, by: int) -> int:
    """Write a copy of a snapshot whose data begin at a revision that is higher by so many, everything before it marked
    as compacted. Return that revision.

    An etcd that finds a compaction that was not finished begins at its revision, and finishes it (kvstore.go, restore):
    `etcdutl snapshot restore --bump-revision --mark-compacted` relies on that too (v3_snapshot.go).
    """
    with Snapshot(source) as known:
        revision = known.revision + by
    size = os.path.getsize(source) - DIGEST
    with open(source, "rb") as former, open(target, "w+b") as stream:
        os.chmod(target, 0o600)
        shutil.copyfileobj(former, stream, 1 << 20)
        stream.truncate(size)
        stream.flush()
        bolt.put(stream, size, STATE, {SCHEDULED: revision.to_bytes(8, "big") + b"_" + bytes(8)})
        seal(stream)
    return revision


# -- CRC-32C, which Python's zlib does not have ------------------------------------------------------------------------

POLYNOMIAL = 0x82F63B78  # of Castagnoli, its bits reversed


def _table() -> List[int]:
    """Return the change of the sum by every two bytes."""
    single = [_shifted(byte) for byte in range(256)]
    return [single[(two >> 8) ^ (single[two & 255] & 255)] ^ (single[two & 255] >> 8) for two in range(1 << 16)]


def _shifted(number: int) -> int:
    """Return a sum after its lowest byte was taken out."""
    for _bit in range(8):
        number = (number >> 1) ^ (POLYNOMIAL if number & 1 else 0)
    return number


def crc32c(pieces: Iterable[bytes]) -> int:
    """Return the CRC-32C (Castagnoli) of all pieces together."""
    table = _table()
    found, waiting = 0xFFFFFFFF, bytearray()
    for piece in pieces:
        waiting += piece
        if len(waiting) >= 1 << 16:
            even = len(waiting) & ~1
            found = _added(found, bytes(waiting[:even]), table)
            del waiting[:even]
    even = len(waiting) & ~1
    found = _added(found, bytes(waiting[:even]), table)
    for byte in waiting[even:]:
        found = _shifted(found ^ byte)
    return found ^ 0xFFFFFFFF


def _added(found: int, data: bytes, table: List[int]) -> int:
    words = array.array("H", data)
    if sys.byteorder == "big":
        words.byteswap()
    for word in words:
        found = table[(found ^ word) & 0xFFFF] ^ (found >> 16)
    return found
