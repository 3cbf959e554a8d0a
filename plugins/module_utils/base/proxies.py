# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts are reached without a proxy. Standard library only."""

from __future__ import annotations

import ipaddress
from typing import Iterable


def excepted(name: str, exceptions: Iterable[str]) -> bool:
    """Return True if a host is reached directly. exceptions: names, domains, addresses and networks, or *."""
    return any(_covers(entry.strip(), name) for entry in exceptions if entry.strip())


def _covers(entry: str, name: str) -> bool:
    try:
        return ipaddress.ip_address(name) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return entry == "*" or name == entry.lstrip(".") or name.endswith("." + entry.lstrip("."))
