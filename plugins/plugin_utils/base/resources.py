# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the collection that the planner reads: the roles' argument specs and the scripts that nodes get."""

from __future__ import annotations

import os

COLLECTION_ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
ROLES = os.path.join(COLLECTION_ROOT, "roles")


def read_text(*parts: str) -> str:
    """Return the text of a file below the collection's root. Raise OSError when it cannot be read."""
    with open(os.path.join(COLLECTION_ROOT, *parts), encoding="utf-8") as stream:
        return stream.read()
