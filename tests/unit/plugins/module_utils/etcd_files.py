# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of etcd for tests, written page by page as bbolt does."""

from __future__ import annotations

import hashlib
import struct

from ansible_collections.kubewright.cluster.plugins.module_utils.base import bolt

PAGE = 4096


def varint(number):
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def record(key, value=b"", revision=1):
    """A record of etcd: mvccpb.KeyValue."""
    made = b"\x0a" + varint(len(key)) + key + b"\x10" + varint(revision) + b"\x18" + varint(revision) + b"\x20\x01"
    return made + (b"\x2a" + varint(len(value)) + value if value else b"")


def revision(number, sub=0, deleted=False):
    return struct.pack(">QcQ", number, b"_", sub) + (b"t" if deleted else b"")


def leaf(number, entries, flags=0):
    """A leaf page of as many pages as it needs."""
    table = content = b""
    for index, (key, value) in enumerate(entries):
        place = (len(entries) - index) * 16 + len(content)
        table += struct.pack("=IIII", flags, place, len(key), len(value))
        content += key + value
    size = 16 + len(table) + len(content)
    count = -(-size // PAGE)
    page = struct.pack("=QHHI", number, 2, len(entries), count - 1) + table + content
    return page.ljust(count * PAGE, b"\0") if number else page


def branch(number, below):
    """A branch page. below: (first key, page) of each page."""
    table = content = b""
    for index, (key, page) in enumerate(below):
        table += struct.pack("=IIQ", (len(below) - index) * 16 + len(content), len(key), page)
        content += key
    return (struct.pack("=QHHI", number, 1, len(below), 0) + table + content).ljust(PAGE, b"\0")


def meta(number, root, pages, transaction):
    body = struct.pack("=IIIIQQQQQ", bolt.MAGIC, 2, PAGE, 0, root, 0, 0xFFFFFFFFFFFFFFFF, pages, transaction)
    return (struct.pack("=QHHI", number, 4, 0, 0) + body + struct.pack("=Q", bolt.fnv(body))).ljust(PAGE, b"\0")


def database(records, state=(), per_page=3, inline=True, members=()):
    """The bytes of a database. records: (revision, record) in order. state: entries of the bucket meta. members: those
    of the bucket members.

    inline: the small buckets are stored in their parent, as bbolt does.
    """
    pages, below = [], []
    for at in range(0, len(records), per_page):
        page = leaf(sum(map(len, pages)) // PAGE + 2, records[at : at + per_page])
        below.append((records[at][0], struct.unpack_from("=Q", page)[0]))
        pages.append(page)

    def following():
        return sum(map(len, pages)) // PAGE + 2

    top = following()
    pages.append(branch(top, below))
    small = following()
    if inline:
        stored = struct.pack("=QQ", 0, 0) + leaf(0, sorted(state))
    else:
        pages.append(leaf(small, sorted(state)))
        stored = struct.pack("=QQ", small, 0)
    root = following()
    rows = struct.pack("=QQ", 0, 0) + leaf(0, sorted(members))
    buckets = [(b"key", struct.pack("=QQ", top, 0)), (b"members", rows), (b"meta", stored)]
    pages.append(leaf(root, buckets, bolt.IS_BUCKET))
    count = following()
    return meta(0, root, count, 9) + meta(1, root, count, 8) + b"".join(pages)


def snapshot(data):
    """A snapshot, as `etcdctl snapshot save` writes it."""
    return data + hashlib.sha256(data).digest()
