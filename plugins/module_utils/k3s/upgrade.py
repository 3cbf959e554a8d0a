# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has this K3s node the release that it was restarted for, and does it serve before a run begins.

Standard library only.

Each function returns why not, or "" if nothing is wrong.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict

from ..api.kubernetes import Api, ApiError
from ..node import services
from . import readiness

# A server that a killed run restarted serves again after so long at most.
RESTART_SECONDS = 90


def version_problem(api: Api, name: str, version: str, server: bool) -> str:
    """Return which part of a node has another version. Raise ApiError. version: such as v1.36.3+k3s1."""
    if server:
        running = str(api.get("/version").get("gitVersion"))
        if running != version:
            return "its API server has version %s, not %s" % (running, version)
    node: Dict[str, Any] = api.get("/api/v1/nodes/" + name, missing_ok=True) or {}
    kubelet = ((node.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion")
    return "" if kubelet == version else "its kubelet has reported version %s, not %s" % (kubelet, version)


def problem(name: str, data_dir: str, version: str, server: bool) -> str:
    """Return why a node does not run a release yet, as its API server says, or the one its balancer reaches."""
    try:
        api, reason = readiness.own_api() if server else readiness.agent_api(data_dir)
        return reason if reason or api is None else version_problem(api, name, version, server)
    except ApiError as error:
        return str(error)


def settle(
    timeout: float, problem_of: Callable[[], str] | None = None, sleep: Callable[[float], None] = time.sleep
) -> str:
    """Wait until a server that a killed run restarted serves again. Return why it does not; "" on other nodes."""
    if services.here().process("k3s") is None:
        return ""
    ask = problem_of or _api_problem
    deadline = time.monotonic() + min(timeout, RESTART_SECONDS)
    while True:
        found = ask()
        if not found or time.monotonic() > deadline:
            return found
        sleep(1)


def _api_problem() -> str:
    try:
        return readiness.own_api()[1]
    except ApiError as error:
        return str(error)
