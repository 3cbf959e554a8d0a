# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection applied to a cluster, and whether its objects are still as they were applied.

An object is asked for its metadata only, so that the content of Secrets is not read.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..api import applied_objects, owned_objects
from ..api.applied_objects import Applied

SYSTEM = "/api/v1/namespaces/kube-system/"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
# Objects that were not asked for by then are unknown.
SECONDS = 2.0
THREADS = 4
# An answer: (status, text) of a path, asked for with an Accept header.
Ask = Callable[[str, str], Tuple[int, str]]


def applied(ask: Ask) -> Dict[str, Any]:
    """Return {record, key, digests, objects}, each as the plan compares it. Raise ValueError or OSError if unreadable.

    record: {manifest: identities of the objects that it created}. key, digests: of the manifests' texts. objects:
    {identity: same, changed, deleted, or None for unknown}.
    """
    record = _record(*ask(SYSTEM + "configmaps/" + owned_objects.CONFIG_MAP, "application/json"))
    key = ""
    known: Applied = {}
    status, text = ask(SYSTEM + "secrets/" + applied_objects.SECRET, "application/json")
    if status == 200:
        key, known = applied_objects.read(text)
    elif not _missing(status, text):
        raise ValueError("the Secret kube-system/%s: HTTP %d" % (applied_objects.SECRET, status))
    return {
        "record": record,
        "key": key,
        "digests": {name: row["digest"] for name, row in known.items()},
        "objects": _objects(ask, known),
    }


def _record(status: int, text: str) -> Dict[str, List[str]]:
    if _missing(status, text):
        return {}
    if status != 200:
        raise ValueError("the ConfigMap kube-system/%s: HTTP %d" % (owned_objects.CONFIG_MAP, status))
    found: Dict[str, List[str]] = json.loads(json.loads(text)["data"]["manifests"])
    return found


def _missing(status: int, text: str) -> bool:
    """Return True if the API server itself says that an object does not exist."""
    return status == 404 and json.loads(text).get("reason") == "NotFound"


def _objects(ask: Ask, known: Applied) -> Dict[str, Optional[str]]:
    """Return the state of each object in the record."""
    rows = {identity: row for manifest in known.values() for identity, row in manifest["objects"].items()}
    deadline = time.monotonic() + SECONDS

    def state(row: Dict[str, Any]) -> Optional[str]:
        if not row.get("path") or time.monotonic() > deadline:
            return None
        try:
            return applied_objects.state(row, *ask(row["path"], METADATA))
        except (OSError, ValueError):
            return None

    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip(rows, pool.map(state, rows.values())))
