# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The administrator's kubeconfig on the controller: another address, its own file, merged only when asked."""

from __future__ import annotations

import os
import shutil
import tempfile
import time

import yaml

from ..base.yaml_documents import dump

HEADER = "# Made by kubewright.cluster.\n"


def rewritten(text: str, server: str, name: str) -> str:
    """The kubeconfig with another server address, its cluster, user and context named after the cluster."""
    config = yaml.safe_load(text)
    config["clusters"][0]["cluster"]["server"] = server
    config["clusters"][0]["name"] = name
    config["users"][0]["name"] = name + "-admin"
    config["contexts"] = [{"name": name, "context": {"cluster": name, "user": name + "-admin"}}]
    config["current-context"] = name
    return HEADER + dump(config)


def write(path: str, text: str, check: bool) -> bool:
    """Write the file with mode 0600 if it differs. Returns whether it did."""
    if os.path.exists(path) and _read(path) == text and os.stat(path).st_mode & 0o777 == 0o600:
        return False
    if check:
        return True
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(os.path.abspath(path)))
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.replace(temporary, path)
    return True


def merge_into(path: str, text: str, check: bool) -> bool:
    """Put this cluster, user and context into another kubeconfig; its former text stays beside it with the time in the name."""
    ours = yaml.safe_load(text)
    theirs = (yaml.safe_load(_read(path)) if os.path.exists(path) else None) or {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": ours["current-context"],
    }
    before = dump(theirs)
    for kind in ("clusters", "users", "contexts"):
        names = [entry["name"] for entry in ours[kind]]
        theirs[kind] = [entry for entry in theirs.get(kind) or [] if entry["name"] not in names] + ours[kind]
    after = dump(theirs)
    if after == before:
        return False
    if os.path.exists(path) and not check:
        shutil.copy2(path, "%s.%s" % (path, time.strftime("%Y%m%d-%H%M%S")))
    return write(path, after, check)


def _read(path):
    with open(path, encoding="utf-8") as stream:
        return stream.read()
