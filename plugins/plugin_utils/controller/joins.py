# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Joins of control planes: after the first one that failed, no other begins in this run, whatever --forks is.

A join adds a member to etcd. After one that failed, another join, or another try with its reset, could cost the quorum.
Workers have no member, so they join all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .run_store import RunStore

Result = dict[str, Any]
WAY_OUT = "Correct that, then run site again: it continues where this run stopped."


class Joins:
    """The joins of one run, as one host sees them. host: its inventory name. adds_member: it is a control plane."""

    def __init__(self, store: RunStore, host: str, adds_member: bool) -> None:
        self._store, self._host, self._adds_member = store, host, adds_member

    def _failed(self) -> str | None:
        return self._store.get("join", "failed") if self._adds_member else None

    def begin(self, work: Callable[[], Result]) -> Result:
        """Return the result of a host's first try, or a failure without one if another host failed to join."""
        failed = self._failed()
        if not failed:
            return self.tried(work)
        text = "%s did not begin to join, because %s failed to join. Nothing was started on it. %s"
        return {"failed": True, "msg": text % (self._host, failed, WAY_OUT)}

    def again(self, reason: str, work: Callable[[], Result]) -> Result:
        """Return the result of another try, or a failure without one if another host failed to join meanwhile.

        reason: why the first try did not succeed.
        """
        failed = self._failed()
        if not failed:
            return self.tried(work)
        text = "%s did not join: %s\nIt was not tried again and nothing was removed, because %s failed to join. %s"
        return {"failed": True, "msg": text % (self._host, reason, failed, WAY_OUT)}

    def tried(self, work: Callable[[], Result]) -> Result:
        """Return the result of `work`. If it fails, or the connection is lost, no other control plane begins."""
        result: Result = {"failed": True}
        try:
            result = work()
        finally:
            if self._adds_member and (result.get("failed") or result.get("unreachable")):
                self._store.put("join", "failed", self._host)
        if not result.get("failed"):
            return result
        others = " No other control plane begins to join in this run." if self._adds_member else ""
        text = "%s did not join: %s\n%s%s"
        return {**result, "msg": text % (self._host, str(result.get("msg") or "").strip(), WAY_OUT, others)}
