# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access to the machine: files, commands and requests, each with a limit. Tests replace it with a recording."""

from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
import os
import re
import socket
import stat
import struct
import sys
import time
from typing import Any, Dict, Iterable, List, Tuple

from ..base import commands

LIMIT = 1 << 20
# A home that cannot be written to: kubectl would write a cache there, or to the working directory if none is set.
# systemctl prints times in the time zone.
ENVIRONMENT = {"HOME": "/dev/null", "TZ": "UTC"}
# A small board or an emulated machine takes seconds to answer. With a shorter limit its cluster would look incomplete.
API_SECONDS = 10
# The file does not exist, or not on this kernel: no warning.
ABSENT = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ENODEV,
    errno.ENXIO,
    errno.ESRCH,
    errno.EOPNOTSUPP,
    errno.EINVAL,
    errno.EISDIR,
)
STA_UNSYNC = 0x0040


class Host:
    """Read files and run commands on the machine.

    A missing file is None. A file that cannot be read or is not text is None too, a file that is too long is cut; both
    add a warning to `warnings`.
    """

    def __init__(self) -> None:
        self.warnings: List[str] = []
        self._sessions: Dict[Tuple[str, int, str | None], Any] = {}

    def warn(self, sentence: str) -> None:
        """Add a warning, once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    def _bytes(self, path: str, limit: int) -> bytes | None:
        """Return the content of a file, or None. Only regular files are opened: reading a FIFO would block forever."""
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                return self._content(handle, path, limit)
            finally:
                os.close(handle)
        except OSError as error:
            if error.errno not in ABSENT:
                self.warn("%s cannot be read: %s" % (path, error.strerror))
        except ValueError:  # a NUL in the path
            pass
        return None

    def _content(self, handle: int, path: str, limit: int) -> bytes | None:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        blocks: List[bytes] = []
        size = 0
        while size <= limit:
            block = os.read(handle, min(1 << 16, limit + 1 - size))
            if not block:
                break
            blocks.append(block)
            size += len(block)
        if size > limit:
            self.warn("%s is longer than %d KiB; the rest was not read" % (path, limit >> 10))
        return b"".join(blocks)[:limit]

    def read(self, path: str, limit: int = LIMIT, nul: bool = False) -> str | None:
        """Return the text of a file, at most `limit` bytes; None if it does not exist or is not text.

        nul: NUL bytes between its entries are allowed, as in /proc/1/environ.
        """
        content = self._bytes(path, limit)
        if content is None:
            return None
        if not nul and b"\0" in content.strip(b"\0"):
            self.warn("%s is not a text file" % path)
            return None
        return content.decode("utf-8", "replace")

    def line(self, path: str) -> str | None:
        """Return the text of a file without surrounding whitespace; None if it does not exist or is empty."""
        text = self.read(path)
        return (text.strip("\x00 \t\r\n") or None) if text is not None else None

    def head(self, path: str, count: int) -> bytes | None:
        """Return the first bytes of a file, or None if it cannot be read."""
        try:
            with open(path, "rb") as stream:
                return stream.read(count)
        except (OSError, ValueError):
            return None

    def exists(self, path: str) -> bool:
        """Return True if the path exists."""
        return os.path.exists(path)

    def require_readable(self, paths: Iterable[str]) -> None:
        """Raise OSError if a path exists, or may exist, and cannot be read: what is in it is unknown, not absent."""
        for path in paths:
            try:
                handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                try:
                    os.listdir(handle) if stat.S_ISDIR(os.fstat(handle).st_mode) else os.read(handle, 1)
                finally:
                    os.close(handle)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    raise OSError(error.errno, error.strerror, path) from None

    def list(self, pattern: str) -> List[str]:
        """Return the paths that match a glob pattern, sorted."""
        return sorted(glob.glob(pattern))

    def names(self, path: str) -> List[str] | None:
        """Return the sorted names in a directory, or None if it cannot be read."""
        try:
            return sorted(os.listdir(path))
        except OSError:
            return None

    def real(self, path: str) -> str:
        """Return the path with all links resolved."""
        return os.path.realpath(path)

    def stat(self, path: str) -> Dict[str, Any] | None:
        """Return {mode, size, mtime, mtime_ns, device: "major:minor"}, or None if the path does not exist."""
        try:
            info = os.stat(path)
        except (OSError, ValueError):
            return None
        return {
            "mode": "%04o" % stat.S_IMODE(info.st_mode),
            "size": info.st_size,
            "mtime": info.st_mtime,
            "mtime_ns": info.st_mtime_ns,
            "device": "%d:%d" % (os.major(info.st_dev), os.minor(info.st_dev)),
        }

    def space(self, path: str) -> List[int] | None:
        """Return [total, free] bytes of the file system that holds a path, or None."""
        try:
            info = os.statvfs(path)
        except (OSError, ValueError):
            return None
        return [info.f_blocks * info.f_frsize, info.f_bavail * info.f_frsize]

    def digest(self, path: str) -> str | None:
        """Return the SHA-256 of a regular file in hexadecimal, or None."""
        digest = hashlib.sha256()
        try:
            if not os.path.isfile(path):
                return None
            with open(path, "rb") as stream:
                for block in iter(lambda: stream.read(LIMIT), b""):
                    digest.update(block)
        except (OSError, ValueError) as error:
            self.warn("%s cannot be read: %s" % (path, error))
            return None
        return digest.hexdigest()

    def run(self, argv: List[str], timeout: int = 10) -> str | None:
        """Return the output of a command, or None if it is missing, fails or runs longer than `timeout` seconds."""
        done = commands.run(argv, timeout=timeout, env=ENVIRONMENT, clean=True)
        if done.rc == commands.TIMED_OUT:
            self.warn("%s did not answer within %d s" % (" ".join(argv), timeout))
        return done.out[:LIMIT] if done.rc == 0 else None

    def machine(self) -> Dict[str, Any]:
        """Return the facts that come from system calls rather than from files."""
        uname = os.uname()
        return {
            "hostname": uname.nodename,
            "machine": uname.machine,
            "release": uname.release,
            "pointer_bits": struct.calcsize("P") * 8,
            "affinity": len(os.sched_getaffinity(0)),
            "ticks": os.sysconf("SC_CLK_TCK"),
            "python": "%d.%d.%d" % sys.version_info[:3],
            "executable": sys.executable,
        }

    def time(self) -> float:
        """Return the seconds since 1970."""
        return time.time()

    def unsynchronised(self) -> bool | None:
        """Return True if the kernel reports that nothing synchronises its clock, None if it does not report it."""
        try:
            import ctypes

            # struct timex: modes (int); offset, freq, maxerror, esterror (long); status (int).
            buffer = ctypes.create_string_buffer(512)
            if ctypes.CDLL(None).adjtimex(buffer) < 0:
                return None
            return bool(struct.unpack_from("@i4li", buffer.raw)[-1] & STA_UNSYNC)
        except (ImportError, OSError, AttributeError, struct.error):
            return None

    def source(self, address: str) -> str | None:
        """Return the local address that packets to an address would have; None without a route. Nothing is sent."""
        try:
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.connect((address, 9))
                return probe.getsockname()[0]
        except (OSError, ValueError):
            return None

    def reach(self, target: str, timeout: float = 3) -> str | None:
        """Return None if a TCP connection to "host:port" succeeds, otherwise the reason why it does not."""
        name, _colon, port = target.rpartition(":")
        try:
            socket.create_connection((name.strip("[]"), int(port)), timeout).close()
        except (OSError, ValueError) as error:
            return getattr(error, "strerror", None) or str(error) or type(error).__name__
        return None

    def sockets(self, inodes: Iterable[str]) -> Dict[str, str | None]:
        """Return {inode: process name} of the sockets whose process is found."""
        wanted = {"socket:[%s]" % inode: inode for inode in inodes}
        found: Dict[str, str | None] = {}
        for pid in filter(str.isdigit, os.listdir("/proc") if wanted else ()):
            try:
                for handle in os.listdir("/proc/%s/fd" % pid):
                    target = os.readlink("/proc/%s/fd/%s" % (pid, handle))
                    if target in wanted:
                        found[wanted[target]] = self.line("/proc/%s/comm" % pid)
            except OSError:
                continue
            if len(found) == len(wanted):
                break
        return found

    def locked(self, path: str) -> bool:
        """Return True if another process holds a lock on a file."""
        try:
            with open(path, "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def expires(self, path: str) -> str | None:
        """Return the `notAfter` text of a certificate, or None if it cannot be read."""
        try:
            import _ssl

            # Python has no public function that reads a certificate.
            return _ssl._test_decode_cert(path).get("notAfter")  # type: ignore[attr-defined]
        except (ImportError, OSError, ValueError, AttributeError):
            return None

    def certificate(self, path: str) -> Dict[str, int] | None:
        """Return {begins, expires} of a certificate, or of the one in a kubeconfig; None if it cannot be read."""
        from ..api import certificates  # machines without a cluster do not need TLS

        found = certificates.read(path)
        return {"begins": found.begins, "expires": found.expires} if found else None

    def outdated(self) -> Dict[str, str]:
        """Return why static pods do not use the certificates in their files, by name."""
        from ..api import certificates

        return certificates.outdated()

    def kubelet_serving(self) -> Tuple[str, int, int, bool] | None:
        """Return (kind, begins, expires, waits) of what the kubelet serves, as api.kubelet.Serving; None if silent."""
        from ..api import kubelet

        return kubelet.serving()

    def common_name(self, path: str) -> str | None:
        """Return the common name that a certificate is for, or None if it cannot be read."""
        try:
            import _ssl

            subject = _ssl._test_decode_cert(path).get("subject") or ()  # type: ignore[attr-defined]
            return next((value for part in subject for key, value in part if key == "commonName"), None)
        except (ImportError, OSError, ValueError, AttributeError):
            return None

    def ask(
        self, server: Dict[str, Any], method: str, path: str, accept: str = "application/json", body: str | None = None
    ) -> Tuple[int, str]:
        """Return (status, text) of a server's answer. Raise OSError if there is none.

        server: {address, port} and the paths kubeconfig, or ca, certificate and key.
        """
        import http.client  # machines without a cluster do not need TLS

        from ..api import tls

        address, port, kubeconfig = server["address"], server["port"], server.get("kubeconfig")
        key = (address, port, kubeconfig)
        try:
            if key not in self._sessions:
                files = None if kubeconfig else (server["ca"], server["certificate"], server["key"])
                context = tls.from_files(*files) if files else tls.from_kubeconfig(kubeconfig or "")
                self._sessions[key] = tls.Session(address, port, context, API_SECONDS)
            return self._sessions[key].ask(method, path, body, accept)
        except http.client.HTTPException as error:
            raise OSError("%s: %s" % (type(error).__name__, error)) from None

    def close(self) -> None:
        """Close the connections to the servers that were asked."""
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()


def number(text: str | None) -> int | None:
    """Return the whole number at the start of a text, or None."""
    found = re.match(r"\s*(-?[0-9]{1,30})(?:\s|$)", str(text if text is not None else ""))
    return int(found.group(1)) if found else None
