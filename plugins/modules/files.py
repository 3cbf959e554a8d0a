#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: files
short_description: Write many files in one call
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Writes files with their content and mode, each in one step, and makes the directories that they need.
  - A file that was there before is kept in C(/etc/kubewright/before); M(kubewright.cluster.host_reset) restores it.
  - Fails without a change if the record of ownership (C(/etc/kubewright/owned.json)) is damaged.
extends_documentation_fragment: [kubewright.cluster.attributes]
options:
  files:
    description: The files.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      content:
        description: Text of the file.
        type: str
      state:
        description:
          - V(file) is written with O(files[].content), V(directory) is made.
          - V(absent) is removed if the collection wrote it, and what was there before is restored. Directories that the
            collection made for it are removed too if they are empty.
        type: str
        default: file
        choices: [file, directory, absent]
      encoding:
        description: V(base64) if O(files[].content) is not text. The diff then has its SHA-256 only.
        type: str
        default: text
        choices: [text, base64]
      mode:
        description: Mode in octal digits. The default is V(0644) for files and V(0755) for directories.
        type: str
      owner:
        description: User that owns the file.
        type: str
        default: root
      group:
        description: Group that owns the file.
        type: str
        default: root
      secret:
        description: Keep the content out of the diff. What nobody else may read is never in it, and logins are masked.
        type: bool
        default: false
"""

EXAMPLES = r"""
- name: Write two files
  kubewright.cluster.files:
    files:
      - {path: /etc/crictl.yaml, content: "runtime-endpoint: unix:///run/containerd/containerd.sock\n"}
      - {path: /etc/kubewright/containerd.env, content: "HTTP_PROXY=http://proxy:3128\n", mode: "0600", secret: true}
"""

RETURN = r"""
changed_paths:
  description: Paths that were changed, or in check mode would be.
  type: list
  elements: str
  returned: always
"""

import base64
import grp
import hashlib
import os
import pwd
import shutil
import stat
from typing import Any, Dict, List, Optional, Tuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.base.masking import masked
from ansible_collections.kubewright.cluster.plugins.module_utils.base.text_files import leftovers, write_atomically
from ansible_collections.kubewright.cluster.plugins.module_utils.node import data_places, ownership
from ansible_collections.kubewright.cluster.plugins.module_utils.node.ownership import OwnershipError, Record

Entry = Dict[str, Any]
# Content, mode, owner and group of a file.
State = Tuple[bytes, int, int, int]


def problems(entries: list[Entry]) -> list[str]:
    """Return everything that is wrong with the entries."""
    found = []
    for entry in entries:
        path = entry["path"]
        if not os.path.isabs(path) or ".." in path.split("/"):
            found.append("%s is not an absolute path" % path)
        elif entry["state"] == "file" and entry["content"] is None:
            found.append("%s has no content" % path)
        elif entry["state"] == "file" and os.path.isdir(path):
            found.append("%s is a directory" % path)
        elif entry["state"] == "directory" and os.path.lexists(path) and not os.path.isdir(path):
            found.append("%s exists and is not a directory" % path)
        for key, look_up in (("owner", pwd.getpwnam), ("group", grp.getgrnam)):
            try:
                look_up(entry[key])
            except KeyError:
                found.append("%s: the %s %s does not exist" % (path, key, entry[key]))
        if entry["mode"] is not None and not (entry["mode"].isdigit() and set(entry["mode"]) <= set("01234567")):
            found.append("%s: expected a mode such as 0644, got %r" % (path, entry["mode"]))
    return found


def present(path: str) -> Optional[State]:
    """Return the state of a regular file, None if there is none."""
    try:
        info = os.lstat(path)
        if not stat.S_ISREG(info.st_mode):
            return None
        with open(path, "rb") as stream:
            return stream.read(), stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid
    except OSError:
        return None


def difference(entry: Entry) -> dict[str, str]:
    """Return one file's part of the diff."""
    path = entry["path"]
    former = present(path)
    before = former[0].decode("utf-8", "replace") if former else ""
    after = entry["content"] if entry["state"] == "file" else entry["state"] + "\n"
    if entry["encoding"] == "base64":
        before, after = (_described(former[0]) if former else ""), _described(content_of(entry))
        return {"before_header": path, "after_header": path, "before": before, "after": after}
    modes = ([wanted_mode(entry)] if entry["state"] == "file" else []) + ([former[1]] if former else [])
    if entry["secret"] or not all(mode & stat.S_IROTH for mode in modes):
        # Also what was secret before, such as a user's own file that others cannot read.
        before, after = ("secret, not shown\n" if before else ""), "another secret, not shown\n"
    before, after = masked(before), masked(after)
    return {"before_header": path, "after_header": path, "before": before, "after": after}


def _described(content: bytes) -> str:
    return "%d bytes, SHA-256 %s\n" % (len(content), hashlib.sha256(content).hexdigest())


def wanted_mode(entry: Entry) -> int:
    """Return the mode of an entry as a number."""
    default = "0755" if entry["state"] == "directory" else "0644"
    return int(entry["mode"] or default, 8)


def mode_of(path: str) -> int:
    """Return the mode of a path as a number."""
    return stat.S_IMODE(os.stat(path).st_mode)


def content_of(entry: Entry) -> bytes:
    """Return the content of a file."""
    if entry["encoding"] == "base64":
        return base64.b64decode(entry["content"])
    return str(entry["content"]).encode()


def wanted(entry: Entry) -> State:
    """Return the wanted state of a file."""
    owner, group = pwd.getpwnam(entry["owner"]).pw_uid, grp.getgrnam(entry["group"]).gr_gid
    return content_of(entry), wanted_mode(entry), owner, group


def differs(entry: Entry, record: Record) -> bool:
    """Return True if there is something to do for an entry."""
    path = entry["path"]
    if entry["state"] == "directory":
        return not os.path.isdir(path) or path in record["directories"] and mode_of(path) != wanted_mode(entry)
    if entry["state"] == "absent":
        return path in record["files"]
    return present(path) != wanted(entry) or path not in record["files"]


def put(entry: Entry, record: Record) -> None:
    """Apply one entry. It is recorded before it is written, and its record is deleted after it is removed."""
    path = entry["path"]
    if entry["state"] == "directory":
        ownership.make_directory(path, record, wanted_mode(entry))
        ownership.write(record)
        os.chmod(path, wanted_mode(entry))
    elif entry["state"] == "absent":
        ownership.take_back(path, record)
    else:
        content, mode, owner, group = wanted(entry)
        ownership.make_directory(os.path.dirname(path), record)
        ownership.back_up_former(path, record)
        ownership.write(record)
        for stale in leftovers(os.path.dirname(path)):
            os.unlink(stale)
        write_atomically(path, content, mode, owner, group)


def carry_out(
    entries: list[Entry], record: Record, check_mode: bool
) -> tuple[list[str], list[dict[str, str]], list[str]]:
    """Write the files and return (changed paths, diff, errors). If one fails, the others are still written."""
    changed: List[str] = []
    diff: List[Dict[str, str]] = []
    errors: List[str] = []
    for entry in entries:
        if not differs(entry, record):
            continue
        changed.append(entry["path"])
        diff.append(difference(entry))
        if check_mode:
            continue
        try:
            put(entry, record)
        except (OSError, shutil.Error) as error:
            errors.append("%s: %s" % (entry["path"], getattr(error, "strerror", None) or error))
    if not check_mode:
        claim_data(entries, record, errors)
    return changed, diff, errors


def claim_data(entries: list[Entry], record: Record, errors: list[str]) -> None:
    """Record what is in the data directories of services whose files these are, before the services start."""
    try:
        if data_places.claim({entry["path"] for entry in entries if entry["state"] == "file"}, record):
            ownership.write(record)
    except OSError as error:
        errors.append("%s: %s" % (error.filename, error.strerror))


def main() -> None:
    entry_spec = {
        "path": {"type": "path", "required": True},
        "content": {"type": "str"},
        "encoding": {"type": "str", "default": "text", "choices": ["text", "base64"]},
        "state": {"type": "str", "default": "file", "choices": ["file", "directory", "absent"]},
        "mode": {"type": "str"},
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str", "default": "root"},
        "secret": {"type": "bool", "default": False, "no_log": False},
    }
    module = AnsibleModule(
        argument_spec={"files": {"type": "list", "elements": "dict", "required": True, "options": entry_spec}},
        supports_check_mode=True,
        no_log=True,  # contents may be secret: nothing of the parameters goes to the node's journal
    )
    entries = module.params["files"]
    module.params["files"] = [{**entry, "content": None} for entry in entries]  # nor into the result
    wrong = problems(entries)
    if wrong:
        module.fail_json(msg="; ".join(wrong))
    try:
        with ownership.changing(module.check_mode) as record:
            changed, diff, errors = carry_out(entries, record, module.check_mode)
    except OwnershipError as error:
        module.fail_json(msg=str(error))
    if errors:
        module.fail_json(msg="These files could not be written: " + "; ".join(errors), changed_paths=changed)
    module.exit_json(changed=bool(changed), changed_paths=changed, diff=diff)


if __name__ == "__main__":
    main()
