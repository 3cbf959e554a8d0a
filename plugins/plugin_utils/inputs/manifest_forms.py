# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of Kubernetes manifests: what the API would refuse, or store otherwise, at the end of a run."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from ..base import labels
from ..base.yaml_documents import KubernetesLoader
from .forms import LABEL, SUBDOMAIN, Problem


def manifest(value: str) -> Problem:
    """Check that text is YAML and that each document in it is an object with kind and name."""
    try:
        documents = [document for document in yaml.load_all(value, Loader=KubernetesLoader) if document is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        return "it is not YAML%s" % (" (line %d)" % (mark.line + 1) if mark else ""), "correct it"
    if not documents:
        return "it has no object", "give it at least one document"
    if _refers_to_itself(documents):
        return "a document in it refers to itself", "remove the alias"
    for row in documents:
        found = document(row)
        if found:
            return found
    twice = _twice(documents)
    return ("%s is in it twice" % twice, "remove one: the second would replace the first") if twice else None


def _twice(documents: list[Mapping[str, Any]]) -> str:
    """Return the kind and name of an object that comes twice; empty if there is none."""
    seen = set()
    for row in documents:
        metadata = row.get("metadata")
        if isinstance(metadata, Mapping) and metadata.get("name"):
            key = (row["apiVersion"].rpartition("/")[0], row["kind"], metadata.get("namespace"), metadata["name"])
            if key in seen:
                return "the %s %s" % (row["kind"], metadata["name"])
            seen.add(key)
    return ""


def _refers_to_itself(documents: list[Any]) -> bool:
    """Return True if an alias (*name) is inside of the anchor that it names (&name)."""
    try:
        json.dumps(documents, default=str, skipkeys=True)
    except (ValueError, RecursionError):
        return True
    return False


def document(row: Any) -> Problem:
    """Check one document of a manifest."""
    if not isinstance(row, Mapping) or not all(
        isinstance(row.get(key), str) and row[key] for key in ("kind", "apiVersion")
    ):
        return "a document in it is not a Kubernetes object", "give every document apiVersion, kind and metadata"
    kind, version = row["kind"], row["apiVersion"]
    if version.startswith("kustomize.config.k8s.io/"):
        return "a %s in it is not an object of the API" % kind, "use what kubectl kustomize prints"
    if not re.fullmatch(r"v1|[a-z0-9.-]+/[a-z0-9]+", version):
        return '"%s" of a %s in it is not an apiVersion' % (version, kind), "write it as v1 or apps/v1"
    if kind.endswith("List"):
        items = row.get("items") or []
        good = isinstance(items, list) and all(isinstance(item, Mapping) for item in items)
        return None if good else ("the items of a %s in it are not objects" % kind, "write each as an object")
    metadata = row.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(metadata, Mapping) or not name:
        return "a %s in it has no name" % kind, "give it metadata.name"
    if not isinstance(name, str) or re.search(r"[/%\s]", name):
        return "a %s in it has a name that is not text" % kind, "put a number in quotes, and write no / % or blank"
    return _name(row, name) or _metadata(kind, name, metadata) or _data(row, name) or _environment(row, name)


# Groups of the API whose objects all have DNS names. Those of RBAC, for example, may have a colon.
_DNS_NAMES = ("v1", "apps/v1", "batch/v1", "autoscaling/v2", "policy/v1", "storage.k8s.io/v1")


def _name(row: Mapping[str, Any], name: str) -> Problem:
    """Check the name: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/"""
    form = LABEL if row["apiVersion"] == "v1" and row["kind"] in ("Namespace", "Service") else SUBDOMAIN
    if row["apiVersion"] not in _DNS_NAMES or form.fullmatch(name):
        return None
    return 'the %s "%s" in it has a name that the API refuses' % (row["kind"], name), (
        "use lower-case letters, digits and -" + ("" if form is LABEL else ", and dots")
    )


def _metadata(kind: str, name: str, metadata: Mapping[str, Any]) -> Problem:
    """Check what is text in the metadata of every object, and what YAML often makes something else of."""
    where, space = "the %s %s in it" % (kind, name), metadata.get("namespace")
    if space is not None and not (isinstance(space, str) and LABEL.fullmatch(space)):
        return '%s has the namespace "%s"' % (where, space), "use lower-case letters, digits and -, a number in quotes"
    for key in ("labels", "annotations"):
        found = metadata.get(key)
        wrong = _not_text(found)
        if wrong:
            return "%s: %s of its %s is not text" % (where, wrong, key), "put the value in quotes"
        for label, value in (found or {}).items() if key == "labels" else ():
            if not labels.is_key(str(label)) or not labels.is_value(value or ""):
                text = "%s: %s is not a label" % (where, json.dumps("%s=%s" % (label, value)))
                return text, "use at most 63 letters, digits, -, _ and dots"
    return None


def _not_text(found: Any) -> str:
    """Return the first key whose value is not text, or what is in place of a map; empty if all is well."""
    if found is None:
        return ""
    if not isinstance(found, Mapping):
        return "the whole"
    return next(('"%s"' % key for key, value in found.items() if value is not None and not isinstance(value, str)), "")


def _data(row: Mapping[str, Any], name: str) -> Problem:
    """Check the data of a ConfigMap or a Secret: texts, and base64 in a Secret. Values are not shown."""
    kind = row["kind"]
    if row["apiVersion"] != "v1" or kind not in ("ConfigMap", "Secret"):
        return None
    for key in ("data", "stringData") if kind == "Secret" else ("data",):
        wrong = _not_text(row.get(key))
        if wrong:
            return "the %s %s in it: %s of its %s is not text" % (kind, name, wrong, key), "put the value in quotes"
    for key, value in (row.get("data") or {}).items() if kind == "Secret" else ():
        try:
            base64.b64decode(re.sub(r"[\r\n]", "", value or ""), validate=True)
        except (binascii.Error, ValueError):
            return 'the Secret %s in it: "%s" of its data is not base64' % (name, key), "use stringData for plain text"
    return None


def _environment(row: Mapping[str, Any], name: str) -> Problem:
    """Check that the values of environment variables of pods are text."""
    if row["apiVersion"] not in ("v1", "apps/v1", "batch/v1"):
        return None
    for variable in _variables(row.get("spec")):
        value = variable.get("value")
        if value is not None and not isinstance(value, str):
            text = 'the %s %s in it: the value of the variable "%s" is not text'
            return text % (row["kind"], name, variable.get("name")), "put the value in quotes"
    return None


def _variables(spec: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the environment variables of all containers below a spec."""
    if isinstance(spec, Mapping):
        for key, value in spec.items():
            if key in ("containers", "initContainers") and isinstance(value, list):
                for container in value:
                    rows = container.get("env") if isinstance(container, Mapping) else None
                    yield from (item for item in rows if isinstance(item, Mapping)) if isinstance(rows, list) else ()
            else:
                yield from _variables(value)
