# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form of every check of verify, and how a check is tried. Standard library only."""

from __future__ import annotations

import http.client
import time
from typing import Any, Callable, Dict, Optional, Tuple, TypeVar

OK, WARN, FAIL = "ok", "warn", "fail"
# A line of the report: {name, status (ok, warn, fail), text, node, hint, ms}.
Check = Dict[str, Any]
T = TypeVar("T")


def check(name: str, status: str, text: str, node: str | None = None, hint: str = "", ms: int | None = None) -> Check:
    """Return a line of the report. text: what was found, with values. hint: the way out."""
    return {"name": name, "status": status, "text": text, "node": node, "hint": hint, "ms": ms}


def tried(deadline: float, work: Callable[[], T]) -> Tuple[Optional[T], Optional[str], int]:
    """Return (answer or None, error or None, milliseconds).

    It is tried until the deadline, because the routes of a new pod take a moment.
    """
    began = time.monotonic()
    while True:
        started = time.monotonic()
        try:
            return work(), None, int((time.monotonic() - began) * 1000)
        except (OSError, ValueError, http.client.HTTPException) as error:
            if time.monotonic() > deadline:
                return None, _words(error), int((time.monotonic() - began) * 1000)
        # A try that took its time is followed by the next at once.
        time.sleep(max(0.0, started + 0.2 - time.monotonic()))


def _words(error: Exception) -> str:
    text = str(error).strip()
    return text.partition("] ")[2] if text.startswith("[Errno") else text or type(error).__name__
