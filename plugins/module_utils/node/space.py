# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Free space on the file systems of a node. Standard library only."""

from __future__ import annotations

import os
from typing import Optional, Tuple


def shortage(place: str, needed: int) -> Optional[Tuple[int, int]]:
    """Return (MiB free, MiB needed) if less is free than needed, otherwise None. needed: in bytes.

    place: a directory; if it does not exist yet, the nearest one above that does is asked. Raise OSError.
    """
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    stat = os.statvfs(place)
    free = stat.f_bavail * stat.f_frsize
    return (free >> 20, needed >> 20) if free < needed else None
