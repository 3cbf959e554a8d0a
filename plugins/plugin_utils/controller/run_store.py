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
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from ..base.yaml_documents import plain


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
    def turn(self, name: str) -> Iterator[None]:
        """Hold a lock: Ansible's workers do what is inside one at a time, whatever --forks is."""
        os.makedirs(self._root, mode=0o700, exist_ok=True)
        with open(os.path.join(self._root, quote(name, safe="") + ".lock"), "w", encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _path(self, kind: str, name: str) -> str:
        return os.path.join(self._root, kind, quote(name, safe="") + ".json")
