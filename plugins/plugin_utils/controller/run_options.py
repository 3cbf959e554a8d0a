# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a playbook, read on the controller: their values, and where backups are."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..base.findings import Finding
from ..base.yaml_documents import plain
from ..inputs import schema


def read(
    playbook: str, variables: Mapping[str, Any], template: Callable[[Any], Any]
) -> tuple[dict[str, Any], list[Finding]]:
    """Return the options of a playbook by name without its prefix, and what is wrong with them."""
    if playbook == "replace":  # it removes first, with the options of remove
        of_remove, problems = _read("remove", variables, template)
        values, more = _read(playbook, variables, template)
        return {**of_remove, **values}, problems + more
    if playbook == "restore":  # the passphrase is that of the backup
        of_backup, problems = _read("backup", variables, template)
        values, more = _read(playbook, variables, template)
        return {**of_backup, **values}, problems + more
    return _read(playbook, variables, template)


def _read(
    playbook: str, variables: Mapping[str, Any], template: Callable[[Any], Any]
) -> tuple[dict[str, Any], list[Finding]]:
    names = [name for name in schema.run_specification(playbook) if name in variables]
    return schema.run_options(playbook, {name: plain(template(variables[name])) for name in names})


def backups(
    options: dict[str, Any], variables: Mapping[str, Any], arguments: Iterable[str]
) -> tuple[str, list[Finding]]:
    """Complete the options that say where archives are. Return (the passphrase or "", what is wrong).

    arguments: what was given with -e. Everybody on the machine can read those.
    """
    options["dir"] = os.path.abspath(os.path.expanduser(options["dir"] or default_directory(variables)))
    passphrase, problems = str(options.pop("passphrase") or ""), []
    for text in arguments:
        if not text.startswith("@") and re.search(r"backup_passphrase\W", text):
            found = (
                "backup_passphrase is in the arguments of ansible-playbook, where every user of this machine can read "
                "it. Put it into a file that Ansible Vault encrypts, or use backup_passphrase_file. Change the "
                "passphrase."
            )
            problems.append(Finding("backup.passphrase_in_arguments", found))
    path = options.get("passphrase_file")
    if path and not passphrase:
        try:
            with open(os.path.expanduser(path), encoding="utf-8") as stream:
                passphrase = stream.read().rstrip("\r\n")
            if not passphrase:
                problems.append(Finding("backup.passphrase_file", "backup_passphrase_file: %s is empty." % path))
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            found = "backup_passphrase_file: %s cannot be read: %s. Correct the path." % (path, why)
            problems.append(Finding("backup.passphrase_file", found, value=path))
    options["encrypted"] = bool(passphrase)
    return passphrase, problems


def default_directory(variables: Mapping[str, Any]) -> str:
    """Return the directory of backups where backup_dir is not set: beside the inventory."""
    directory = variables.get("inventory_dir")
    is_inventory = bool(directory) and directory in (variables.get("ansible_inventory_sources") or [])
    return (directory or ".") + (".backups" if is_inventory else "/backups")
