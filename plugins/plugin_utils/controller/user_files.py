# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's files on the controller that inputs name: manifests, hooks, and where the kubeconfig goes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from ..base.findings import Finding
from ..inputs import manifest_forms, schema

NAMES = ("kube_manifests", "kube_hooks", "kube_kubeconfig")
Texts = dict[str, str]


def read(hosts: Mapping[str, Mapping[str, Any]], find: Callable[[str], str]) -> tuple[Texts, list[Finding]]:
    """Return (the text of each manifest's file by the manifest's name, what is wrong with the user's files).

    hosts: by inventory name {inputs}. find: returns the path of a file on the controller.
    """
    texts: Texts = {}
    problems: list[Finding] = []
    for row in hosts.values():
        given = {name: row["inputs"][name] for name in NAMES if row["inputs"].get(name)}
        values = schema.validate(given)[0] if given else {}
        for manifest in values.get("kube_manifests") or []:
            if manifest.get("src") and manifest.get("name") and manifest["name"] not in texts:
                problems += _manifest(manifest["name"], find(manifest["src"]), texts)
        for name, path in (values.get("kube_hooks") or {}).items():
            problems += hook("kube_hooks." + name, path) if path else []
        problems += _kubeconfig((values.get("kube_kubeconfig") or {}).get("path"))
    return texts, list(dict.fromkeys(problems))


def _manifest(name: str, path: str, texts: Texts) -> list[Finding]:
    text, why = _text(path)
    if text is None:
        found = "kube_manifests[%s]: %s cannot be read: %s. Correct src." % (name, path, why)
        return [Finding("manifests.unreadable", found, value=path)]
    wrong = manifest_forms.manifest(text)
    if wrong:
        return [Finding("manifests.form", "kube_manifests[%s]: %s: %s; %s." % (name, path, *wrong), value=path)]
    texts[name] = text
    return []


def hook(name: str, path: str) -> list[Finding]:
    """Check that a hook is a file with a list of tasks. It would be found out only when its stage is reached."""
    text, why = _text(path)
    if text is None:
        return [
            Finding("hooks.unreadable", "%s: %s cannot be read: %s. Correct the path." % (name, path, why), value=path)
        ]
    if text.startswith("$ANSIBLE_VAULT"):
        return []
    try:
        tasks = yaml.compose(text, Loader=yaml.SafeLoader)
        good = isinstance(tasks, yaml.SequenceNode) and all(isinstance(item, yaml.MappingNode) for item in tasks.value)
    except yaml.YAMLError:
        good = False
    found = "%s: %s is not a file with a list of tasks. Correct it."
    return [] if good else [Finding("hooks.form", found % (name, path), value=path)]


def _kubeconfig(path: str | None) -> list[Finding]:
    if not path or not (path.endswith("/") or os.path.isdir(path)):
        return []
    text = "kube_kubeconfig.path %s is a directory. Name a file in it." % path
    return [Finding("kubeconfig.directory", text, value=path)]


def _text(path: str) -> tuple[str | None, str]:
    """Return (the text of a file or None, why it cannot be read)."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read(), ""
    except (OSError, UnicodeDecodeError) as error:
        return None, getattr(error, "strerror", None) or "it is not text"
