# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching programs: from upstream, a mirror with the same layout or a directory; checked before anything is installed.

Standard library only.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import shutil
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import unquote

BLOCK = 1 << 20
_HEX = re.compile(r"^[0-9a-fA-F]{64}$")


class FetchError(Exception):
    """A file cannot be had or is not what it should be; the message names file, address, wanted and got."""


class Source:
    """Where files come from.

    base: "upstream", a base URL whose paths are upstream's addresses without "https://", or a directory likewise.
    """

    def __init__(self, base="upstream", proxy=None, timeout=60, retries=3):
        self.base, self.timeout, self.retries = base.rstrip("/"), timeout, retries
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else {})
        )

    def address(self, url):
        """The address, or the path, at which an upstream URL is found."""
        if self.base == "upstream":
            return url
        path = url.split("://", 1)[1]
        # In a directory a name is as it is meant: v1.36.3+k3s1, which in an address is v1.36.3%2Bk3s1.
        return self.base + "/" + (path if "://" in self.base else unquote(path))

    def open(self, url):
        """A readable stream; FetchError after the last try."""
        address = self.address(url)
        if "://" not in address:
            try:
                return open(address, "rb")
            except OSError as error:
                raise FetchError("%s: %s" % (address, error.strerror)) from None
        for attempt in range(1, self.retries + 1):
            try:
                return self.opener.open(address, timeout=self.timeout)
            except urllib.error.HTTPError as error:
                if error.code < 500 or attempt == self.retries:
                    raise FetchError("%s: HTTP %d %s" % (address, error.code, error.reason)) from None
            except OSError as error:
                if attempt == self.retries:
                    raise FetchError(
                        "%s: %s (%d tries)" % (address, getattr(error, "reason", error), attempt)
                    ) from None
            time.sleep(2 ** (attempt - 1))
        raise FetchError(address)

    def text(self, url):
        """A small text file."""
        with self.open(url) as stream:
            return stream.read(BLOCK).decode("utf-8", "replace")


def digest_in(text, name):
    """The SHA-256 of a file in a checksum file: a bare digest, `digest  name` lines, or `SHA256 (name) = digest`. None if it is not there."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) == 1 and _HEX.match(lines[0]):
        return lines[0].lower()
    for line in lines:
        words = line.split()
        if len(words) == 2 and _HEX.match(words[0]) and os.path.basename(words[1].lstrip("*")) == name:
            return words[0].lower()
        if len(words) == 4 and words[0] == "SHA256" and words[1] == "(%s)" % name and _HEX.match(words[3]):
            return words[3].lower()
    return None


def wanted_digest(source, item):
    """The digest that a file must have: a pinned one, or the one that upstream publishes beside it."""
    if item.get("checksum"):
        return item["checksum"].split(":")[-1].lower()
    name = item["url"].rsplit("/", 1)[-1]
    found = digest_in(source.text(item["checksum_url"]), name)
    if not found:
        raise FetchError("%s holds no SHA-256 of %s" % (source.address(item["checksum_url"]), name))
    return found


def sha256(path):
    """Digest of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def intact(path: str, entry: dict[str, Any]) -> bool:
    """Return True if an installed file is as the record of ownership has it."""
    try:
        info = os.stat(path)
    except OSError:
        return False
    return info.st_size == entry.get("size") and (
        info.st_mtime_ns == entry.get("mtime_ns") or sha256(path) == entry.get("sha256")
    )


def copy(stream, out, digest):
    """Copy a stream and digest it on the way."""
    for block in iter(lambda: stream.read(BLOCK), b""):
        digest.update(block)
        out.write(block)


def fetch(source, item, directory):
    """Bring one file into a directory and check it. Returns (its path, its SHA-256)."""
    wanted = wanted_digest(source, item)
    digest = hashlib.sha256()
    handle, path = tempfile.mkstemp(prefix=".kubewright-", dir=directory)
    with os.fdopen(handle, "wb") as out, source.open(item["url"]) as stream:
        try:
            copy(stream, out, digest)
        except OSError as error:
            raise FetchError("%s: broke off: %s" % (source.address(item["url"]), error)) from None
    if digest.hexdigest() != wanted:
        os.unlink(path)
        raise FetchError(
            "%s from %s has SHA-256 %s, wanted %s"
            % (item["url"].rsplit("/", 1)[-1], source.address(item["url"]), digest.hexdigest(), wanted)
        )
    return path, wanted


def members(archive, strip, only):
    """(member, relative path) of the regular files of a tar archive that are to be installed; refuses what would leave the directory."""
    for member in archive:
        parts = member.name.split("/")
        if member.name.startswith("/") or ".." in parts:
            raise FetchError("the archive holds %s, which leads out of it" % member.name)
        name = member.name[2:] if member.name.startswith("./") else member.name
        relative = "/".join(name.split("/")[strip:])
        if member.isfile() and relative and (not only or any(fnmatch.fnmatch(name, pattern) for pattern in only)):
            yield member, relative


def unpack(path, directory, strip, only):
    """Unpack an archive's files beside their places. Returns [(temporary path, relative path, sha256)]."""
    done = []
    try:
        with tarfile.open(path) as archive:
            for member, relative in members(archive, strip, only):
                handle, temporary = tempfile.mkstemp(prefix=".kubewright-", dir=directory)
                digest = hashlib.sha256()
                with os.fdopen(handle, "wb") as out:
                    copy(archive.extractfile(member), out, digest)
                os.chmod(temporary, member.mode & 0o755)
                done.append((temporary, relative, digest.hexdigest()))
    except (tarfile.TarError, EOFError, OSError) as error:
        raise FetchError("%s is no archive that can be read: %s" % (os.path.basename(path), error)) from None
    if not done:
        raise FetchError("the archive holds none of %s" % ", ".join(only or ["*"]))
    return done


def room(directory, needed):
    """FetchError where a file system has less than the needed bytes."""
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise FetchError("%s has %d MiB free, %d MiB are needed" % (directory, free >> 20, needed >> 20))
