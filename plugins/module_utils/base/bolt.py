# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the file in which etcd stores its data, without etcd: K3s has it built in and brings no program of it.

The format is that of bbolt: internal/common/page.go, meta.go, bucket.go and inode.go of go.etcd.io/bbolt. Numbers have
the byte order of the machine that wrote the file, which is the one that reads it. Standard library only.
"""

from __future__ import annotations

import mmap
import struct
from typing import Any, Dict, Iterator, NamedTuple, Tuple

MAGIC, VERSION = 0xED0CDAED, 2
BRANCH, LEAF = 0x01, 0x02
IS_BUCKET = 0x01
# A page: its number, kind, entries, and pages that it needs beside the first. Entries follow, then keys and values.
PAGE = struct.Struct("=QHHI")
LEAF_ENTRY = struct.Struct("=IIII")  # flags, where its key is, sizes of key and value
BRANCH_ENTRY = struct.Struct("=IIQ")  # where its key is, its size, page
BUCKET = struct.Struct("=QQ")  # its first page, 0 if it follows; sequence
META = struct.Struct("=IIIIQQQQQQ")
CHECKED = META.size - 8
# More levels than any file has, unless it is damaged.
MOST_LEVELS = 32


class BoltError(Exception):
    """The file is not a database, or it is damaged."""


class Meta(NamedTuple):
    """Where the newest state of a file begins. root: page of the root bucket. pages: number of pages in use."""

    page_size: int
    root: int
    pages: int
    number: int


class Place(NamedTuple):
    """Where a bucket is. header: of its BUCKET. page: where its first page begins. Both count from the file's start."""

    header: int
    page: int


class File:
    """A file of bbolt. data: its bytes. Every method raises BoltError if the file is damaged."""

    def __init__(self, data: Any) -> None:
        self.data = data
        self.meta = self._newest()

    def _newest(self) -> Meta:
        first = self._meta(0)
        sizes = [first.page_size] if first else [1024 << shift for shift in range(7)]
        second = next((found for found in (self._meta(size) for size in sizes) if found), None)
        known = [found for found in (first, second) if found]
        if not known:
            raise BoltError("it does not begin as a database of etcd does")
        return max(known, key=lambda meta: meta.number)

    def _meta(self, offset: int) -> Meta | None:
        """Return what a meta page says, None if it is not a complete one."""
        start = offset + PAGE.size
        if start + META.size > len(self.data):
            return None
        fields = META.unpack_from(self.data, start)
        magic, version, page_size, _flags, root, _sequence, _free, pages, number, checksum = fields
        if (magic, version, checksum) != (MAGIC, VERSION, fnv(bytes(self.data[start : start + CHECKED]))):
            return None
        return Meta(page_size, root, pages, number)

    def bucket(self, name: bytes) -> Place:
        """Return where a bucket is. Raise BoltError if there is none of this name."""
        for flags, key, value in self._entries(self.meta.root * self.meta.page_size):
            complete = flags & IS_BUCKET and value[1] - value[0] >= BUCKET.size
            if complete and bytes(self.data[key[0] : key[1]]) == name:
                root, _sequence = BUCKET.unpack_from(self.data, value[0])
                return Place(value[0], root * self.meta.page_size if root else value[0] + BUCKET.size)
        raise BoltError("it has no bucket %s" % name.decode())

    def items(self, name: bytes) -> Iterator[Tuple[bytes, bytes]]:
        """Yield the keys and values of a bucket, in the order of its keys."""
        for _flags, key, value in self._entries(self.bucket(name).page):
            yield self.data[key[0] : key[1]], self.data[value[0] : value[1]]

    def _entries(self, page: int, level: int = 0) -> Iterator[Tuple[int, Tuple[int, int], Tuple[int, int]]]:
        """Yield (flags, begin and end of the key, begin and end of the value) of all entries below a page."""
        try:
            _number, kind, count, _overflow = PAGE.unpack_from(self.data, page)
            first = page + PAGE.size
            if kind == LEAF:
                for at in range(first, first + count * LEAF_ENTRY.size, LEAF_ENTRY.size):
                    flags, place, key, value = LEAF_ENTRY.unpack_from(self.data, at)
                    begin, middle = at + place, at + place + key
                    if middle + value > len(self.data):
                        raise BoltError("an entry ends behind the file")
                    yield flags, (begin, middle), (middle, middle + value)
            elif kind == BRANCH and level < MOST_LEVELS:
                for at in range(first, first + count * BRANCH_ENTRY.size, BRANCH_ENTRY.size):
                    below = BRANCH_ENTRY.unpack_from(self.data, at)[2] * self.meta.page_size
                    yield from self._entries(below, level + 1)
            else:
                raise BoltError("a page has the unknown kind %d" % kind)
        except struct.error:
            raise BoltError("a page is behind the end of the file") from None


def mapped(stream: Any, length: int, write: bool = False) -> mmap.mmap:
    """Return the bytes of an open file, as many as given."""
    return mmap.mmap(stream.fileno(), length, access=mmap.ACCESS_WRITE if write else mmap.ACCESS_READ)


def put(stream: Any, size: int, name: bytes, changes: Dict[bytes, bytes]) -> None:
    """Change entries of a small bucket, in a file of this size that nothing else uses.

    The bucket gets a new page at the end, to which its header and both meta pages then point. etcd finds out itself
    that the former page is free: it opens files with NoFreelistSync (server/storage/backend of go.etcd.io/etcd).
    """
    data = mapped(stream, size)
    try:
        file = File(data)
        place = file.bucket(name)
        entries = {bytes(key): bytes(value) for key, value in file.items(name)}
    finally:
        data.close()
    page_size, number = file.meta.page_size, max(file.meta.pages, -(-size // file.meta.page_size))
    page = _leaf(number, {**entries, **changes}, page_size)
    stream.truncate(number * page_size + len(page))
    stream.seek(number * page_size)
    stream.write(page)
    stream.seek(place.header)
    stream.write(struct.pack("=Q", number))
    for offset in (0, page_size):
        stream.seek(offset + PAGE.size)
        fields = list(META.unpack(stream.read(META.size)))
        fields[7] = number + len(page) // page_size
        checked = META.pack(*fields)[:CHECKED]
        stream.seek(offset + PAGE.size)
        stream.write(checked + struct.pack("=Q", fnv(checked)))
    stream.flush()


def _leaf(number: int, entries: Dict[bytes, bytes], page_size: int) -> bytes:
    """Return a page with these entries, filled up to whole pages."""
    table, content = b"", b""
    for index, (key, value) in enumerate(sorted(entries.items())):
        place = (len(entries) - index) * LEAF_ENTRY.size + len(content)
        table += LEAF_ENTRY.pack(0, place, len(key), len(value))
        content += key + value
    pages = -(-(PAGE.size + len(table) + len(content)) // page_size)
    page = PAGE.pack(number, LEAF, len(entries), pages - 1) + table + content
    return page.ljust(pages * page_size, b"\0")


def fnv(data: bytes) -> int:
    """Return the checksum of a meta page: FNV-1a with 64 bits."""
    found = 0xCBF29CE484222325
    for byte in data:
        found = ((found ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return found
