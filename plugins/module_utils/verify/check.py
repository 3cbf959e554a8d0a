# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every check of verify looks like, and how it is tried. Standard library only."""

from __future__ import annotations

import http.client
import time

OK, WARN, FAIL = "ok", "warn", "fail"


def check(name, status, text, node=None, hint="", ms=None):
    """One line of the report. status: ok, warn or fail. text: what was found, with values. hint: the way out of it."""
    return {"name": name, "status": status, "text": text, "node": node, "hint": hint, "ms": ms}


def tried(deadline, work):
    """(answer or None, error or None, milliseconds). Tried until the deadline: the routes of a new pod take a moment."""
    began = time.monotonic()
    while True:
        started = time.monotonic()
        try:
            return work(), None, int((time.monotonic() - began) * 1000)
        except (OSError, ValueError, http.client.HTTPException) as error:
            if time.monotonic() > deadline:
                return None, _word(error), int((time.monotonic() - began) * 1000)
        # A try that took its time is followed by the next at once.
        time.sleep(max(0.0, started + 0.2 - time.monotonic()))


def _word(error):
    text = str(error).strip()
    return text.partition("] ")[2] if text.startswith("[Errno") else text or type(error).__name__
