# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep what a module of an operation is given, and what it returns, out of Ansible's log."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def unlogged(task: Any, connection: Any) -> Iterator[None]:
    """Let modules run as with no_log, also with -vvv: keys of the cluster pass through them.

    task, connection: of an action plugin.
    """
    former, task.no_log = task.no_log, True
    shown, connection._play_context.no_log = connection._play_context.no_log, True
    try:
        yield
    finally:
        task.no_log, connection._play_context.no_log = former, shown
