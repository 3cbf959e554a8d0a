# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kube_backup on the controller: where the playbook backup keeps archives beside its own directory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.destinations import copies
from ...module_utils.destinations.naming import prefix
from ...module_utils.destinations.places import PlaceError
from ..base.findings import Finding
from ..inputs import schema
from . import archives
from .run_store import RunStore

NAME = "kube_backup"
SCHEMES = ("s3://", "sftp://")


def read(hosts: Mapping[str, Mapping[str, Any]], planes: Sequence[str]) -> tuple[dict[str, Any], list[Finding]]:
    """Return (kube_backup of the control planes, what is wrong with it). hosts: with their inputs."""
    given: Mapping[str, Any] = next((hosts[host]["inputs"] for host in planes if host in hosts), {})
    values, problems = schema.validate({name: given[name] for name in given if name == NAME})
    # A directory is one of the control planes; the controller has backup_dir.
    wanted = [entry for entry in values[NAME]["to"] if not entry.get("directory")]
    return {**values[NAME], "to": wanted}, problems


def described(settings: Mapping[str, Any]) -> tuple[list[str], list[Finding]]:
    """Return (what the destinations are called, what is wrong with them). Nobody is asked."""
    labels, found = [], []
    for entry in settings.get("to") or []:
        try:
            labels.append(copies.place_of(entry).label)
        except PlaceError as error:
            found.append(Finding("backup.destination", "kube_backup.to: %s" % error))
    return labels, found


def warnings(settings: Mapping[str, Any], encrypted: bool) -> list[Finding]:
    """Warn of archives that everybody on the way can read."""
    text = (
        "kube_backup.to: %s is not encrypted, and the archive is not either: its keys and Secrets can be read on the "
        "way. Use https://, or set backup_passphrase."
    )
    urls = [str((entry.get("s3") or {}).get("endpoint") or "") for entry in settings.get("to") or []]
    plain = [url for url in urls if url.startswith("http://") and not encrypted]
    return [Finding("backup.not_encrypted", text % url, value=url) for url in plain]


def keep_settings(
    store: RunStore, options: dict[str, Any], hosts: Mapping[str, Mapping[str, Any]], planes: Sequence[str]
) -> list[Finding]:
    """Keep the settings for the task that sends archives, and put what the plan shows of them into the options.

    Return what is wrong with them.
    """
    settings, problems = read(hosts, planes)
    options["labels"], wrong = described(settings)
    options["keep_there"] = settings.get("keep")
    options["warnings"] = warnings(settings, options["encrypted"])
    store.put("secret", NAME, settings)
    return problems + wrong


def keep(settings: Mapping[str, Any], path: str, manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Send a finished archive of the controller to all destinations. See copies.keep()."""
    name, start, work = os.path.basename(path), prefix(manifest), os.path.dirname(path)
    return copies.keep(settings.get("to") or [], path, name, start, settings["keep"], work)


def fetched(settings: Mapping[str, Any], url: str, directory: str, passphrase: str = "") -> str:
    """Bring an archive from a destination into a directory. Return its path. Raise ArchiveError or OSError.

    It gets its name after it was examined, so that a damaged one replaces nothing.

    url: the destination as the plan calls it, with the name of an archive at its end.
    """
    labels = []
    for entry in settings.get("to") or []:
        try:
            place = copies.place_of(entry, directory)
            labels.append(place.label)
            name = url[len(place.label) :]
            if not url.startswith(place.label) or not name or "/" in name:
                continue
            os.makedirs(directory, mode=0o700, exist_ok=True)
            handle, target = tempfile.mkstemp(prefix=".kubewright-", suffix=archives.UNFINISHED, dir=directory)
            os.close(handle)
            try:
                place.fetch(name, target)
                _examined(url, target, passphrase)
                os.replace(target, os.path.join(directory, name))
            finally:
                if os.path.exists(target):
                    os.unlink(target)
            return os.path.join(directory, name)
        except PlaceError as error:
            raise archives.ArchiveError("not_fetched", "%s: %s" % (url, error)) from None
    text = "%s is at no destination of kube_backup.to (%s). Name an archive at one of them."
    raise archives.ArchiveError("not_fetched", text % (url, ", ".join(labels) or "it is empty"))


def _examined(url: str, path: str, passphrase: str) -> None:
    """Examine what was fetched; messages name where it came from."""
    try:
        archives.examine(path, passphrase)
    except archives.ArchiveError as error:
        raise archives.ArchiveError(error.id.partition(".")[2], str(error).replace(path, url)) from None
