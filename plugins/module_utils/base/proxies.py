# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts are reached without a proxy. Standard library only."""

from __future__ import annotations

import ipaddress
from typing import Iterable


def excepted(name: str, exceptions: Iterable[str]) -> bool:
    """Return True if a host is reached directly.

    exceptions: names, domains (.example.com or *.example.com, as Go reads them), addresses and networks, or *.
    """
    return any(_covers(entry.strip(), name) for entry in exceptions if entry.strip())


def _covers(entry: str, name: str) -> bool:
    try:
        return ipaddress.ip_address(name) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        domain = entry.lstrip("*.")
        return entry == "*" or bool(domain) and (name == domain or name.endswith("." + domain))
