# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch programs from upstream, a mirror with the same layout, or a directory, and check them before installation.

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
from typing import IO, Any, Iterator
from urllib.parse import unquote

BLOCK = 1 << 20
_HEX = re.compile(r"^[0-9a-fA-F]{64}$")


class FetchError(Exception):
    """A file cannot be fetched or has a wrong digest. The message names address, expected and found value."""


class Source:
    """Where files come from.

    base: "upstream"; a base URL, below which upstream's URLs are found without "https://"; or a directory of the same
    layout.
    """

    def __init__(self, base: str = "upstream", proxy: str | None = None, timeout: int = 60, retries: int = 3) -> None:
        self.base, self.timeout, self.retries = base.rstrip("/"), timeout, retries
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else {})
        )

    def address(self, url: str) -> str:
        """Return the URL or path of an upstream file in this source."""
        if self.base == "upstream":
            return url
        path = url.split("://", 1)[1]
        # In a directory names are not quoted: v1.36.3+k3s1, which in a URL is v1.36.3%2Bk3s1.
        return self.base + "/" + (path if "://" in self.base else unquote(path))

    def open(self, url: str) -> IO[bytes]:
        """Return a readable stream. Raise FetchError after the last try."""
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
                    reason = getattr(error, "reason", error)
                    raise FetchError("%s: %s (%d tries)" % (address, reason, attempt)) from None
            time.sleep(2 ** (attempt - 1))
        raise FetchError("%s: retries is %d, expected 1 or more" % (address, self.retries))

    def text(self, url: str) -> str:
        """Return the text of a small file. Raise FetchError."""
        with self.open(url) as stream:
            return stream.read(BLOCK).decode("utf-8", "replace")


def digest_in(text: str, name: str) -> str | None:
    """Return the SHA-256 of a file that a checksum file names, None if it does not.

    Known forms: a bare digest, `digest  name` lines, and `SHA256 (name) = digest`.
    """
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


def wanted_digest(source: Source, item: dict[str, Any]) -> str:
    """Return the SHA-256 that a file must have: the pinned one, or the published one. Raise FetchError."""
    if item.get("checksum"):
        return item["checksum"].split(":")[-1].lower()
    name = item["url"].rsplit("/", 1)[-1]
    found = digest_in(source.text(item["checksum_url"]), name)
    if not found:
        raise FetchError("%s has no SHA-256 of %s" % (source.address(item["checksum_url"]), name))
    return found


def sha256(path: str) -> str:
    """Return the SHA-256 of a file in hexadecimal. Raise OSError."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def intact(path: str, entry: dict[str, Any]) -> bool:
    """Return True if an installed file still matches its entry in the record of ownership."""
    try:
        info = os.stat(path)
    except OSError:
        return False
    return info.st_size == entry.get("size") and (
        info.st_mtime_ns == entry.get("mtime_ns") or sha256(path) == entry.get("sha256")
    )


def copy(stream: IO[bytes], out: IO[bytes], digest: Any) -> None:
    """Copy a stream and update the digest on the way."""
    for block in iter(lambda: stream.read(BLOCK), b""):
        digest.update(block)
        out.write(block)


def fetch(source: Source, item: dict[str, Any], directory: str) -> tuple[str, str]:
    """Fetch one file into a directory and check it. Return (path, SHA-256); leave nothing behind on failure."""
    wanted = wanted_digest(source, item)
    digest = hashlib.sha256()
    handle, path = tempfile.mkstemp(prefix=".kubewright-", dir=directory)
    try:
        with os.fdopen(handle, "wb") as out, source.open(item["url"]) as stream:
            try:
                copy(stream, out, digest)
            except OSError as error:
                raise FetchError(
                    "%s: the download was interrupted: %s" % (source.address(item["url"]), error)
                ) from None
        if digest.hexdigest() != wanted:
            raise FetchError(
                "%s from %s has SHA-256 %s, expected %s"
                % (item["url"].rsplit("/", 1)[-1], source.address(item["url"]), digest.hexdigest(), wanted)
            )
    except BaseException:
        os.unlink(path)
        raise
    return path, wanted


def members(archive: tarfile.TarFile, strip: int, only: list[str] | None) -> Iterator[tuple[tarfile.TarInfo, str]]:
    """Yield (member, relative path) of the regular files of an archive that match `only`.

    Raise FetchError if one would leave the directory.
    """
    for member in archive:
        parts = member.name.split("/")
        if member.name.startswith("/") or ".." in parts:
            raise FetchError("the archive has %s, which is outside of its directory" % member.name)
        name = member.name[2:] if member.name.startswith("./") else member.name
        relative = "/".join(name.split("/")[strip:])
        if member.isfile() and relative and (not only or any(fnmatch.fnmatch(name, pattern) for pattern in only)):
            yield member, relative


def unpack(path: str, directory: str, strip: int, only: list[str] | None) -> list[tuple[str, str, str]]:
    """Unpack an archive's files next to their final paths. Return [(temporary path, relative path, SHA-256)].

    Leave nothing behind on failure.
    """
    done: list[tuple[str, str, str]] = []
    temporaries: list[str] = []
    try:
        with tarfile.open(path) as archive:
            for member, relative in members(archive, strip, only):
                handle, temporary = tempfile.mkstemp(prefix=".kubewright-", dir=directory)
                temporaries.append(temporary)
                digest = hashlib.sha256()
                content = archive.extractfile(member)
                with os.fdopen(handle, "wb") as out:
                    if content:
                        copy(content, out, digest)
                os.chmod(temporary, member.mode & 0o755)
                done.append((temporary, relative, digest.hexdigest()))
        if not done:
            raise FetchError("the archive contains none of %s" % ", ".join(only or ["*"]))
    except BaseException as error:
        for temporary in temporaries:
            os.unlink(temporary)
        if isinstance(error, (tarfile.TarError, EOFError, OSError)):
            raise FetchError("%s cannot be read as an archive: %s" % (os.path.basename(path), error)) from None
        raise
    return done


def check_space(directory: str, needed: int) -> None:
    """Raise FetchError if a file system has less free space than needed, in bytes."""
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise FetchError(
            "%s has %d MiB of free space, the installation needs %d MiB" % (directory, free >> 20, needed >> 20)
        )
