# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one run of ansible-playbook keeps on the controller: the look at each host, the plan, and each host's share of
it.

Files of mode 0600 in Ansible's own temporary directory, which Ansible deletes at the end of the run. Registered
variables would be copied to all hosts, so that the cost would grow with the square of their number; and they would show
up in the output with -v.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import IO, Any
from urllib.parse import quote

from ..base.yaml_documents import plain

# For so long nobody else is waited for who has a turn; between two looks; between two lines that say who is waited for.
TURN_SECONDS, LOOK_SECONDS, SAY_SECONDS = 600, 0.2, 60


class TurnError(Exception):
    """A turn does not come, because another host keeps it; the message says which one and what to do."""


class RunStore:
    """Values by kind and name, for example ("look", "cp1")."""

    def __init__(self, directory: str) -> None:
        self._root = os.path.join(directory, "kubewright")

    def put(self, kind: str, name: str, value: Any) -> None:
        """Keep a value. Replaces the former one."""
        path = self._path(kind, name)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(json.dumps(plain(value)))
        os.replace(temporary, path)

    def get(self, kind: str, name: str) -> Any:
        """Return the value, or None if there is none."""
        try:
            with open(self._path(kind, name), encoding="utf-8") as stream:
                return json.load(stream)
        except FileNotFoundError:
            return None

    def drop(self, kind: str, name: str) -> None:
        """Forget the value."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(kind, name))

    @contextlib.contextmanager
    def turn(
        self, name: str, host: str = "", seconds: float = TURN_SECONDS, say: Callable[[str], None] = lambda _line: None
    ) -> Iterator[None]:
        """Hold a lock: Ansible's workers do what is inside one at a time, whatever --forks is. Raise TurnError.

        host: who holds it, for the others. seconds: how long one other host may keep it. say: is called with a line of
        text once a minute.
        """
        os.makedirs(self._root, mode=0o700, exist_ok=True)
        # Not truncated: it names the host that has the turn.
        with open(os.path.join(self._root, quote(name, safe="") + ".lock"), "a+", encoding="utf-8") as stream:
            _await_turn(stream, host, seconds, say)
            stream.truncate(0)
            stream.write(host)
            stream.flush()
            yield

    def _path(self, kind: str, name: str) -> str:
        return os.path.join(self._root, kind, quote(name, safe="") + ".json")


def _await_turn(stream: IO[str], host: str, seconds: float, say: Callable[[str], None]) -> None:
    """Lock a file. Each host that has it before may keep it for so many seconds."""
    holder, since = "", time.monotonic()
    said = since
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        now = time.monotonic()
        stream.seek(0)
        there = stream.read()
        if there != holder:
            holder, since = there, now
        if now - since > seconds:
            text = (
                "%s waited %d s for %s, which did not end. Nothing was started on it. Look at %s, then run this again."
            )
            other = holder or "another host"
            raise TurnError(text % (host or "this host", seconds, other, other))
        if now - said > SAY_SECONDS:
            say("%s waits for %s (%d s)" % (host or "this host", holder or "another host", now - since))
            said = now
        time.sleep(LOOK_SECONDS)
