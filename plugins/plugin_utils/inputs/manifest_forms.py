# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of a manifest: YAML whose documents are Kubernetes objects. Its signature is that of forms.py."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from .forms import Problem


def manifest(value: str) -> Problem:
    """Check that text is YAML and that each document in it is an object with kind and name."""
    try:
        documents = [document for document in yaml.safe_load_all(value) if document is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        return "it is not YAML%s" % (" (line %d)" % (mark.line + 1) if mark else ""), "correct it"
    if not documents:
        return "it has no object", "give it at least one document"
    if _refers_to_itself(documents):
        return "a document in it refers to itself", "remove the alias"
    for row in documents:
        found = _object(row)
        if found:
            return found
    return None


def _refers_to_itself(documents: list[Any]) -> bool:
    """Return True if an alias (*name) is inside of its own anchor (&name)."""
    try:
        json.dumps(documents, default=str, skipkeys=True)
    except (ValueError, RecursionError):
        return True
    return False


def _object(row: Any) -> Problem:
    """Check one document of a manifest."""
    if not isinstance(row, Mapping) or not all(
        isinstance(row.get(key), str) and row[key] for key in ("kind", "apiVersion")
    ):
        return "a document in it is not a Kubernetes object", "give every document apiVersion, kind and metadata"
    if row["kind"].endswith("List"):
        items = row.get("items") or []
        good = isinstance(items, list) and all(isinstance(item, Mapping) for item in items)
        return None if good else ("the items of a %s in it are not objects" % row["kind"], "write each as an object")
    metadata = row.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not name:
        return "a %s in it has no name" % row["kind"], "give it metadata.name"
    if not isinstance(name, str) or re.search(r"[/%\s]", name):
        return "a %s in it has a name that is not text" % row[
            "kind"
        ], "put a number in quotes, and write no / % or blank"
    return None
