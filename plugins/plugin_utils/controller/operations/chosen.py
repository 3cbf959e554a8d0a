# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The place that picks the operation of a run."""

from __future__ import annotations

from collections.abc import Callable

from . import beside, removal, restoration, upgrade
from .operation import Operation, Run

OPERATIONS: dict[str, Callable[[Run], Operation]] = {
    "backup": beside.Operation,
    "remove": removal.Operation.of,
    "replace": removal.Operation.of,
    "restore": restoration.Operation.of,
    "rotate": beside.Operation,
    "upgrade": upgrade.Operation.of,
}


def operation(run: Run) -> Operation:
    """Return the operation that a run asks for; a run of site has an empty name."""
    return OPERATIONS[run.name](run) if run.name else Operation()
