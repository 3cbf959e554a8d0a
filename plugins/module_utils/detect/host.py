# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to the system: files, commands and requests, with limits, so that a recording can take its place."""

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

from ..base import commands

LIMIT = 1 << 20
# A home that cannot be written to: kubectl would leave a cache there, or in the working directory if none is set.
ENVIRONMENT = {"HOME": "/dev/null"}
# A small board or an emulated machine takes seconds for an answer; if that counted as silence, its cluster would look half-made.
API_SECONDS = 10
# Not there, or not on this kernel: nothing to warn of.
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
    """Reads files and runs commands.

    What is missing is None; what is unreadable, binary or too long is None or cut, and said in `warnings`.
    """

    def __init__(self):
        self.warnings = []
        self._sessions = {}

    def warn(self, sentence):
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    def _bytes(self, path, limit):
        """Content of a file, or None. Only ordinary files are opened: a FIFO would never answer."""
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

    def _content(self, handle, path, limit):
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        blocks, size = [], 0
        while size <= limit:
            block = os.read(handle, min(1 << 16, limit + 1 - size))
            if not block:
                break
            blocks.append(block)
            size += len(block)
        if size > limit:
            self.warn("%s is longer than %d KiB; the rest was not read" % (path, limit >> 10))
        return b"".join(blocks)[:limit]

    def read(self, path, limit=LIMIT, nul=False):
        """Text of a file; None where there is none, or none that is text. nul: NULs between its entries are right."""
        content = self._bytes(path, limit)
        if content is None:
            return None
        if not nul and b"\0" in content.strip(b"\0"):
            self.warn("%s is not a text file" % path)
            return None
        return content.decode("utf-8", "replace")

    def line(self, path):
        """The text without blanks around it; None where there is none, or it is empty."""
        text = self.read(path)
        return (text.strip("\x00 \t\r\n") or None) if text is not None else None

    def head(self, path, count):
        """The first bytes of a file, or None."""
        try:
            with open(path, "rb") as stream:
                return stream.read(count)
        except (OSError, ValueError):
            return None

    def exists(self, path):
        return os.path.exists(path)

    def list(self, pattern):
        """Paths that match a pattern, sorted."""
        return sorted(glob.glob(pattern))

    def names(self, path):
        """Names in a directory, or None."""
        try:
            return sorted(os.listdir(path))
        except OSError:
            return None

    def real(self, path):
        return os.path.realpath(path)

    def stat(self, path):
        """{mode, size, mtime, mtime_ns, device: "major:minor"} or None."""
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

    def space(self, path):
        """[total, free] bytes of the file system of a path, or None."""
        try:
            info = os.statvfs(path)
        except (OSError, ValueError):
            return None
        return [info.f_blocks * info.f_frsize, info.f_bavail * info.f_frsize]

    def writable(self, path):
        return os.access(path, os.W_OK)

    def digest(self, path):
        """SHA-256 of an ordinary file, or None."""
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

    def run(self, argv, timeout=10):
        """Output of a command; None where it is missing, fails or takes too long."""
        done = commands.run(argv, timeout=timeout, env=ENVIRONMENT, clean=True)
        if done.rc == commands.TIMED_OUT:
            self.warn("%s did not answer within %d s" % (" ".join(argv), timeout))
        return done.out[:LIMIT] if done.rc == 0 else None

    def machine(self):
        """What only system calls tell."""
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

    def time(self):
        return time.time()

    def unsynchronised(self):
        """What the kernel says of its clock: True when nothing keeps it right, None when it does not say."""
        try:
            import ctypes

            # struct timex: modes (int); offset, freq, maxerror, esterror (long); status (int).
            buffer = ctypes.create_string_buffer(512)
            if ctypes.CDLL(None).adjtimex(buffer) < 0:
                return None
            return bool(struct.unpack_from("@i4li", buffer.raw)[-1] & STA_UNSYNC)
        except (ImportError, OSError, AttributeError, struct.error):
            return None

    def source(self, address):
        """The own address that packets to this address would carry; nothing is sent. None where there is no way."""
        try:
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.connect((address, 9))
                return probe.getsockname()[0]
        except (OSError, ValueError):
            return None

    def reach(self, target, timeout=3):
        """None where a TCP connection to "host:port" comes about, else why not."""
        name, _colon, port = target.rpartition(":")
        try:
            socket.create_connection((name.strip("[]"), int(port)), timeout).close()
        except (OSError, ValueError) as error:
            return getattr(error, "strerror", None) or str(error) or type(error).__name__
        return None

    def sockets(self, inodes):
        """{inode: process} of those sockets whose process is found."""
        wanted, found = {"socket:[%s]" % inode: inode for inode in inodes}, {}
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

    def locked(self, path):
        """Whether another process holds a lock on this file."""
        try:
            with open(path, "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def expires(self, path):
        """The `notAfter` text of a certificate, or None."""
        try:
            import _ssl

            return _ssl._test_decode_cert(path).get("notAfter")
        except (ImportError, OSError, ValueError, AttributeError):
            return None

    def ask(self, server, method, path, accept="application/json", body=None):
        """(status, text) of a server's answer; OSError where there is none.

        server: {address, port} and the paths kubeconfig, or ca, certificate and key.
        """
        import http.client  # machines without a cluster do not need TLS

        from ..api import tls

        address, port, kubeconfig = server["address"], server["port"], server.get("kubeconfig")
        key = (address, port, kubeconfig)
        try:
            if key not in self._sessions:
                files = None if kubeconfig else (server["ca"], server["certificate"], server["key"])
                context = tls.from_files(*files) if files else tls.from_kubeconfig(kubeconfig)
                self._sessions[key] = tls.Session(address, port, context, API_SECONDS)
            return self._sessions[key].ask(method, path, body, accept)
        except http.client.HTTPException as error:
            raise OSError("%s: %s" % (type(error).__name__, error)) from None

    def close(self):
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()


def number(text):
    """A whole number, or None."""
    found = re.match(r"\s*(-?[0-9]{1,30})(?:\s|$)", str(text if text is not None else ""))
    return int(found.group(1)) if found else None
