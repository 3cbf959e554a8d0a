# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch programs from upstream, a mirror with the same layout, or a directory, and check them before installation.

Standard library only.
"""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import http.client
import os
import re
import shutil
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from typing import IO, Any, Callable, Dict, Iterable, Iterator, Optional, Sequence, TypeVar
from urllib.parse import unquote, urlsplit

from ..base.masking import masked_message
from ..base.proxies import excepted

BLOCK = 1 << 20
# Seconds for one file, after which even a slow connection is given up.
DEADLINE = 3600
# Answers below 500 that may be another the next time: a timeout, too many requests.
PASSING = (408, 425, 429)
T = TypeVar("T")
_HEX = re.compile(r"^[0-9a-fA-F]{64}$")


class FetchError(Exception):
    """A file cannot be fetched or has a wrong digest. The message names address, expected and found value."""


class Source:
    """Where files come from.

    base: "upstream"; a base URL, below which upstream's URLs are found without "https://"; or a directory of the same
    layout. proxy: URL of a proxy; no_proxy: what is reached without it. timeout: seconds without data after which a try
    ends. deadline: seconds after which a file is given up. retries: tries of a whole transfer.
    """

    def __init__(
        self,
        base: str = "upstream",
        proxy: str | None = None,
        timeout: int = 60,
        retries: int = 3,
        no_proxy: Sequence[str] = (),
        deadline: float = DEADLINE,
    ) -> None:
        self.base, self.timeout, self.retries, self.deadline = base.rstrip("/"), timeout, retries, deadline
        self.proxy, self.no_proxy = proxy, no_proxy

    def address(self, url: str) -> str:
        """Return the URL or path of an upstream file in this source."""
        if self.base == "upstream":
            return url
        path = url.split("://", 1)[1]
        # In a directory names are not quoted: v1.36.3+k3s1, which in a URL is v1.36.3%2Bk3s1.
        return self.base + "/" + (path if "://" in self.base else unquote(path))

    def transfer(self, url: str, work: Callable[[Any, Optional[int]], T]) -> T:
        """Return work(stream, size), where size is None if it is not known. Raise FetchError.

        A transfer that breaks is tried again as a whole. work must not have effects that outlast its failure.
        """
        address = self.address(url)
        if "://" not in address:
            try:
                with open(address, "rb") as stream:
                    return work(stream, os.fstat(stream.fileno()).st_size)
            except OSError as error:
                raise _full(error) or FetchError("%s: %s" % (address, error.strerror or error)) from None
        proxy = self._proxy(address)
        shown = masked_message(address + (" (through the proxy %s)" % proxy if proxy else ""))
        until = time.monotonic() + self.deadline
        for attempt in range(1, self.retries + 1):
            problem = self._try(address, shown, work)
            if not isinstance(problem, _Broken):
                return problem
            if attempt == self.retries or time.monotonic() > until:
                raise FetchError("%s: %s (%d tries)" % (shown, problem, attempt))
            time.sleep(2 ** (attempt - 1))
        raise FetchError("%s: retries is %d, expected 1 or more" % (shown, self.retries))

    def _try(self, address: str, shown: str, work: Callable[[Any, Optional[int]], T]) -> T | _Broken:
        """Return work's result, or why this try failed and the next may succeed. Raise FetchError if none will."""
        try:
            with self.opener(address).open(address, timeout=self.timeout) as stream:
                length = stream.headers.get("Content-Length")
                return work(_Timed(stream, self.deadline), int(length) if length and length.isdigit() else None)
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in PASSING:
                raise FetchError("%s: HTTP %d %s" % (shown, error.code, error.reason)) from None
            return _Broken("HTTP %d %s" % (error.code, error.reason))
        except http.client.InvalidURL:
            raise FetchError("%s: it is not a URL that can be fetched" % shown) from None
        except OSError as error:
            if _full(error):
                raise _full(error) from None  # type: ignore[misc]
            return _Broken(str(getattr(error, "reason", None) or error or type(error).__name__))
        except (http.client.HTTPException, ValueError) as error:
            return _Broken("%s %s" % (type(error).__name__, error))

    def _proxy(self, address: str) -> str | None:
        """Return the proxy that an address is fetched through, None if it is reached directly."""
        try:
            host = urlsplit(address).hostname or ""
        except ValueError:
            host = ""  # not a URL, which opening it reports
        return None if excepted(host, self.no_proxy) else self.proxy

    def opener(self, address: str) -> urllib.request.OpenerDirector:
        """Return what opens an address, through the proxy where that is needed."""
        proxy = self._proxy(address)
        proxies: Dict[str, str] = {"http": proxy, "https": proxy} if proxy else {}
        return urllib.request.build_opener(urllib.request.ProxyHandler(proxies))

    def text(self, url: str) -> str:
        """Return the text of a small file. Raise FetchError."""
        return self.transfer(url, lambda stream, _size: stream.read(BLOCK)).decode("utf-8", "replace")


class _Broken(str):
    """Why a try failed."""


class _Timed:
    """A stream that is given up after a time, however slowly it drips."""

    def __init__(self, stream: Any, seconds: float) -> None:
        self.stream, self.seconds, self.until = stream, seconds, time.monotonic() + seconds

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes. Raise FetchError after the time."""
        if time.monotonic() > self.until:
            raise FetchError("the transfer took more than %d s" % self.seconds)
        return self.stream.read1(size)


def _full(error: OSError) -> FetchError | None:
    """Return what to say if an error is about this node's disk, so that another try does not help."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return FetchError("%s%s" % (error.strerror, ": " + error.filename if error.filename else ""))
    return None


# Source.transfer: the server, and why it does not give a file.
_AT_SERVER = re.compile(r"(https?://[^/\s]+)\S*((?: \(through the proxy [^)]*\))?: .+)", re.DOTALL)


def joined(errors: Iterable[str]) -> str:
    """Return the errors in one message: a server that fails in the same way for several files is named once."""
    first: Dict[str, str] = {}
    count: Dict[str, int] = {}
    for error in errors:
        found = _AT_SERVER.fullmatch(error)
        same = found.group(1) + found.group(2) if found else error
        first.setdefault(same, error)
        count[same] = count.get(same, 0) + 1
    return "; ".join(
        text + (", and so for %d more files from there" % (count[same] - 1) if count[same] > 1 else "")
        for same, text in first.items()
    )


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


def copy(stream: IO[bytes], out: IO[bytes], digest: Any) -> int:
    """Copy a stream to a file on disk and update the digest on the way. Return the number of bytes."""
    size = 0
    for block in iter(lambda: stream.read(BLOCK), b""):
        digest.update(block)
        out.write(block)
        size += len(block)
    out.flush()
    os.fsync(out.fileno())
    return size


def fetch(source: Source, item: dict[str, Any], directory: str) -> tuple[str, str]:
    """Fetch one file into a directory and check it. Return (path, SHA-256); leave nothing behind on failure."""
    wanted = wanted_digest(source, item)

    def save(stream: Any, size: int | None) -> str:
        handle, path = tempfile.mkstemp(prefix=".kubewright-", dir=directory)
        digest = hashlib.sha256()
        try:
            with os.fdopen(handle, "wb") as out:
                done = copy(stream, out, digest)
            if size is not None and done < size:
                raise ConnectionError("the connection was closed after %d of %d bytes" % (done, size))
            if digest.hexdigest() != wanted:
                raise _wrong(source, item, digest.hexdigest(), wanted)
        except BaseException:
            os.unlink(path)
            raise
        return path

    return source.transfer(item["url"], save), wanted


def copy_beside(path: str, directory: str, wanted: str) -> str:
    """Copy a file of the node into a directory and check it. Return the copy; leave nothing behind on failure.

    Raise FetchError or OSError.
    """
    handle, copied = tempfile.mkstemp(prefix=".kubewright-", dir=directory)
    digest = hashlib.sha256()
    try:
        with os.fdopen(handle, "wb") as out, open(path, "rb") as stream:
            copy(stream, out, digest)
        if digest.hexdigest() != wanted:
            raise FetchError("%s has SHA-256 %s, expected %s" % (path, digest.hexdigest(), wanted))
    except BaseException:
        os.unlink(copied)
        raise
    return copied


def _wrong(source: Source, item: dict[str, Any], found: str, wanted: str) -> FetchError:
    name, address = item["url"].rsplit("/", 1)[-1], masked_message(source.address(item["url"]))
    return FetchError("%s from %s has SHA-256 %s, expected %s" % (name, address, found, wanted))


def members(archive: tarfile.TarFile, strip: int, only: list[str] | None) -> Iterator[tuple[tarfile.TarInfo, str]]:
    """Yield (member, relative path) of the regular files of an archive that match `only`.

    Raise FetchError if one would leave the directory.
    """
    for member in archive:
        parts = member.name.split("/")
        while parts[:1] == ["."]:
            parts = parts[1:]
        # An empty part in the middle would begin an absolute path once the leading ones are dropped.
        if member.name.startswith("/") or ".." in parts or "" in parts[:-1] or "\0" in member.name:
            raise FetchError("the archive has %s, which is outside of its directory" % member.name)
        name, relative = "/".join(parts), "/".join(part for part in parts[strip:] if part != ".")
        if member.isfile() and relative and (not only or any(fnmatch.fnmatch(name, pattern) for pattern in only)):
            yield member, relative


def below(directory: str, relative: str) -> bool:
    """Return True if a path is still below the directory when the links on its way are followed."""
    top = os.path.realpath(directory)
    place = os.path.realpath(os.path.dirname(os.path.join(directory, relative)))
    return place == top or place.startswith(top.rstrip("/") + "/")


def unpack(path: str, directory: str, strip: int, only: list[str] | None) -> list[tuple[str, str, str]]:
    """Unpack an archive's files next to their final paths. Return [(temporary path, relative path, SHA-256)].

    Leave nothing behind on failure.
    """
    done: list[tuple[str, str, str]] = []
    temporaries: list[str] = []
    try:
        with tarfile.open(path) as archive:
            for member, relative in members(archive, strip, only):
                if not below(directory, relative):
                    raise FetchError("%s would be outside of %s, because of a link there" % (relative, directory))
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
        if isinstance(error, OSError) and _full(error):
            raise _full(error) from None  # type: ignore[misc]
        if isinstance(error, (tarfile.TarError, EOFError, OSError, zlib.error)):
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
