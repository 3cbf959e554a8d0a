# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot of an etcd member, and what is in an etcd at a revision. Standard library only.

https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/ and https://etcd.io/docs/v3.6/op-guide/recovery/
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import time
from typing import IO, Any, Callable, Dict, Iterator, Optional
from urllib.parse import urlsplit

from ..api import tls
from ..api.etcd import OBJECTS, RANGE, Etcd, answered

SNAPSHOT = "/v3/maintenance/snapshot"
HASH = "/v3/maintenance/hashkv"
# server/storage/mvcc/kvstore.go of etcd-io/etcd (ErrCompacted)
COMPACTED = "required revision has been compacted"
# A snapshot is a bbolt file, whose size is a multiple of this, and the SHA-256 of it: etcdutl/snapshot/v3_snapshot.go.
BLOCK, DIGEST = 512, 32
# The parts of a key that name its kind: /registry/GROUP/RESOURCE/... for resources of a group that has a dot in its
# name, and for the core group's services (specs, endpoints); otherwise /registry/RESOURCE/...
TWO_PARTS = ("services",)


class SnapshotError(Exception):
    """A snapshot is not complete, or is not what etcd has."""


def save(client: Etcd, path: str, seconds: float = 300) -> int:
    """Write a snapshot of the member that listed the members. Return its size. Raise SnapshotError or tls.NO_ANSWER.

    The file is the same as that of `etcdctl snapshot save`. seconds: the longest pause in the answer.
    """
    parts = urlsplit(client.servers[0])
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port or 2379, timeout=seconds, context=client.context
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 2379, timeout=seconds)
    try:
        connection.request("POST", SNAPSHOT, body="{}")
        answer = connection.getresponse()
        if answer.status != 200:
            raise SnapshotError("etcd makes no snapshot: HTTP %d" % answer.status)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            for blob in _blobs(answer):
                stream.write(blob)
            size = stream.tell()
            stream.flush()
            os.fsync(stream.fileno())
    finally:
        connection.close()
    check(path)
    return size


def _blobs(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the pieces of a snapshot from the gateway's answer, one JSON text a line."""
    for line in iter(answer.readline, b""):
        row = json.loads(line)
        if "result" not in row:
            raise SnapshotError("etcd ended the snapshot: %s" % str((row.get("error") or {}).get("message"))[:200])
        yield base64.b64decode(row["result"].get("blob") or "")


def check(path: str) -> None:
    """Raise SnapshotError unless a snapshot is complete and has the SHA-256 at its end."""
    size = os.path.getsize(path)
    if size <= DIGEST or size % BLOCK != DIGEST:
        raise SnapshotError("the etcd snapshot is cut short (%d bytes)" % size)
    with open(path, "rb") as stream:
        if sha256_of(stream, size - DIGEST) != stream.read():
            raise SnapshotError("the etcd snapshot does not have the SHA-256 at its end")


def sha256_of(stream: IO[bytes], size: int = -1) -> bytes:
    """Return the SHA-256 of the next bytes of a file, of all by default."""
    digest = hashlib.sha256()
    while size:
        block = stream.read(1 << 20 if size < 0 else min(size, 1 << 20))
        if not block:
            break
        digest.update(block)
        size -= len(block) if size > 0 else 0
    return digest.digest()


def seal(stream: IO[bytes]) -> None:
    """Put the SHA-256 of a file that is open for reading and writing at its end, and write all of it to the disk."""
    stream.seek(0)
    digest = sha256_of(stream)
    stream.seek(0, os.SEEK_END)
    stream.write(digest)
    stream.flush()
    os.fsync(stream.fileno())


def revision(client: Etcd) -> int:
    """Return etcd's revision, by a quorum: a snapshot that was asked for afterwards is not older."""
    return int(_range(client, {"key": _key("\0"), "count_only": True, "serializable": False})["header"]["revision"])


def contents(client: Etcd, at: int = 0) -> Dict[str, Any]:
    """Return {revision, keys, counts: {kind: objects}} of a member at a revision, the newest by default."""
    if not at:
        at = int(_range(client, {"key": _key("\0"), "count_only": True})["header"]["revision"])
    counts: Dict[str, int] = {}
    place, end = OBJECTS, after(OBJECTS)
    while True:
        found = _range(client, {"key": _key(place), "range_end": _key(end), "limit": 1, "keys_only": True}, at)
        if not found.get("kvs"):
            break
        prefix = kind_of(base64.b64decode(found["kvs"][0]["key"]).decode("utf-8", "replace"))
        row = _range(client, {"key": _key(prefix), "range_end": _key(after(prefix)), "count_only": True}, at)
        counts[prefix[len(OBJECTS) :].rstrip("/")] = int(row.get("count") or 0)
        place = after(prefix)
    keys = _range(client, {"key": _key("\0"), "range_end": _key("\0"), "count_only": True}, at)
    return {"revision": at, "keys": int(keys.get("count") or 0), "counts": counts}


def counts_at(
    connect: Callable[[], Etcd], at: int, seconds: float = 60, sleep: Callable[[float], None] = time.sleep
) -> Optional[Dict[str, int]]:
    """Return the objects by kind at a revision; None if etcd has dropped it, as it does some minutes after a start.

    Raise one of tls.NO_ANSWER if etcd has not answered after so many seconds: that says nothing of what it has.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            client = connect()
            client.members()
            found: Dict[str, int] = contents(client, at)["counts"]
            return found
        except tls.NO_ANSWER as error:
            if COMPACTED in str(error):
                return None
            if time.monotonic() > deadline:
                raise
        sleep(1)


def hash_at(client: Etcd, at: int) -> Dict[str, int]:
    """Return {hash, compact_revision} of everything that a member has up to a revision.

    Members that were compacted at the same revision have the same hash.
    """
    answer = client.ask(client.servers[0], HASH, json.dumps({"revision": str(at)}))
    return {name: int(answer.get(name) or 0) for name in ("hash", "compact_revision")}


def first_value(client: Etcd, kind: str) -> bytes:
    """Return how the first value of a kind begins, which names the key that encrypts it; b"" if there is none."""
    prefix = OBJECTS + kind + "/"
    found = _range(client, {"key": _key(prefix), "range_end": _key(after(prefix)), "limit": 1})
    return base64.b64decode(found["kvs"][0].get("value") or "")[:200] if found.get("kvs") else b""


def values(client: Etcd, prefix: str) -> Dict[str, bytes]:
    """Return the values of all keys that begin with a prefix."""
    found = _range(client, {"key": _key(prefix), "range_end": _key(after(prefix))})
    rows = found.get("kvs") or []
    return {base64.b64decode(row["key"]).decode(): base64.b64decode(row.get("value") or "") for row in rows}


def kind_of(key: str) -> str:
    """Return the part of a key that all objects of its kind share, with the slash at its end."""
    parts = key[len(OBJECTS) :].split("/")
    count = 2 if ("." in parts[0] or parts[0] in TWO_PARTS) and len(parts) > 2 else 1
    return OBJECTS + "/".join(parts[:count]) + ("/" if len(parts) > count else "")


def after(prefix: str) -> str:
    """Return the end of the range of keys that begin with a prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _key(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _range(client: Etcd, question: Dict[str, Any], at: int = 0) -> Any:
    body = {"serializable": True, **question, **({"revision": str(at)} if at else {})}
    return answered(client.ask(client.servers[0], RANGE, json.dumps(body)))
