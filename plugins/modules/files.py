#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: files
short_description: Put many files in place in one call
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Writes files with their content and mode, each at once, and makes the directories that they need.
  - A file that stood there before is kept in C(/etc/kubewright/before); M(kubewright.cluster.host_reset) brings it back.
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
        description: V(file) has O(files[].content), V(directory) is made, V(absent) is taken away if it is ours, and what stood there before comes back.
        type: str
        default: file
        choices: [file, directory, absent]
      mode:
        description: Mode, in octal digits. V(0644) for files and V(0755) for directories by default.
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
        description: Whether the content is kept out of the diff. Use C(no_log) on the task too.
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
  description: Paths that were (or in check mode would be) changed.
  type: list
  elements: str
  returned: always
"""

import grp
import os
import pwd
import shutil
import stat

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.node import ownership as owned


def problems(entries):
    """Sentences on entries that make no sense, all at once."""
    found = []
    for entry in entries:
        path = entry["path"]
        if not os.path.isabs(path) or ".." in path.split("/"):
            found.append("%s is no absolute path" % path)
        elif entry["state"] == "file" and entry["content"] is None:
            found.append("%s has no content" % path)
        elif entry["state"] == "file" and os.path.isdir(path):
            found.append("%s is a directory" % path)
        elif entry["state"] == "directory" and os.path.lexists(path) and not os.path.isdir(path):
            found.append("%s is no directory" % path)
        for key, look in (("owner", pwd.getpwnam), ("group", grp.getgrnam)):
            try:
                look(entry[key])
            except KeyError:
                found.append("%s: there is no %s %s" % (path, key, entry[key]))
        if entry["mode"] is not None and not (entry["mode"].isdigit() and set(entry["mode"]) <= set("01234567")):
            found.append("%s: %r is no mode: write it as 0644" % (path, entry["mode"]))
    return found


def present(path):
    """(content, mode, owner, group) of a regular file, or None."""
    try:
        info = os.lstat(path)
        if not stat.S_ISREG(info.st_mode):
            return None
        with open(path, "rb") as stream:
            return stream.read(), stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid
    except OSError:
        return None


def difference(entry, before, after):
    """One file's part of the diff."""
    if entry["secret"]:
        before, after = ("secret, not shown\n" if before else ""), "another secret, not shown\n"
    return {"before_header": entry["path"], "after_header": entry["path"], "before": before, "after": after}


def wanted_mode(entry):
    return int(entry["mode"], 8) if entry["mode"] else (0o755 if entry["state"] == "directory" else 0o644)


def wanted(entry):
    return (
        entry["content"].encode(),
        wanted_mode(entry),
        pwd.getpwnam(entry["owner"]).pw_uid,
        grp.getgrnam(entry["group"]).gr_gid,
    )


def differs(entry, record):
    """Whether an entry has something to do."""
    if entry["state"] == "directory":
        return not os.path.isdir(entry["path"])
    if entry["state"] == "absent":
        return os.path.lexists(entry["path"]) and entry["path"] in record["files"]
    return present(entry["path"]) != wanted(entry) or entry["path"] not in record["files"]


def put(entry, record):
    path = entry["path"]
    if entry["state"] == "directory":
        owned.make_directory(path, record, wanted_mode(entry))
        owned.write(record)
    elif entry["state"] == "absent":
        os.unlink(path)
        backup = record["files"].pop(path)["backup"]
        if backup:
            shutil.move(backup, path)
        owned.write(record)
    else:
        content, mode, owner, group = wanted(entry)
        owned.make_directory(os.path.dirname(path), record)
        owned.keep_former(path, record)
        owned.write(record)
        owned.write_atomically(path, content, mode, owner, group)


def main():
    entry_spec = {
        "path": {"type": "path", "required": True},
        "content": {"type": "str"},
        "state": {"type": "str", "default": "file", "choices": ["file", "directory", "absent"]},
        "mode": {"type": "str"},
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str", "default": "root"},
        "secret": {"type": "bool", "default": False, "no_log": False},
    }
    module = AnsibleModule(
        argument_spec={"files": {"type": "list", "elements": "dict", "required": True, "options": entry_spec}},
        supports_check_mode=True,
    )
    entries = module.params["files"]
    wrong = problems(entries)
    if wrong:
        module.fail_json(msg="; ".join(wrong))
    lock = None if module.check_mode else owned.take_turn()
    record = owned.read()
    changed, diff, errors = [], [], []
    for entry in entries:
        if not differs(entry, record):
            continue
        changed.append(entry["path"])
        former = present(entry["path"])
        after = entry["content"] if entry["state"] == "file" else entry["state"] + "\n"
        diff.append(difference(entry, former[0].decode("utf-8", "replace") if former else "", after))
        if not module.check_mode:
            try:
                put(entry, record)
            except OSError as error:
                errors.append("%s: %s" % (entry["path"], error.strerror))
    if lock:
        lock.close()
    if errors:
        module.fail_json(msg="files could not be written: " + "; ".join(errors), changed_paths=changed)
    module.exit_json(changed=bool(changed), changed_paths=changed, diff=diff)


if __name__ == "__main__":
    main()
