# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP proxy in the environment of a service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def environment(proxy: Mapping[str, Any], no_proxy: Sequence[str]) -> dict[str, str]:
    """Return the variables of a service that reaches the internet through a proxy; empty if there is none.

    proxy: the input kube_http_proxy {http, https, no_proxy}. no_proxy: networks and names of the cluster, never reached
    through it.
    """
    if not (proxy.get("http") or proxy.get("https")):
        return {}
    return {
        "HTTP_PROXY": proxy.get("http") or proxy["https"],
        "HTTPS_PROXY": proxy.get("https") or proxy["http"],
        "NO_PROXY": ",".join(["localhost", "127.0.0.1", *no_proxy, *(proxy.get("no_proxy") or [])]),
    }
