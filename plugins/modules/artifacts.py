#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: artifacts
short_description: Download, check and install many programs in one call
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Downloads several files at once, checks each against its SHA-256, and only when all are right puts them in place, each at once.
  - A file that is there already with the right origin and version, untouched since, is not fetched again.
extends_documentation_fragment: [kubewright.cluster.attributes]
options:
  source:
    description: V(upstream), a base URL with upstream's layout (its addresses without C(https://)), or a directory on the node with that layout.
    type: str
    default: upstream
  from_controller:
    description: Whether O(source) is a directory on the controller. What the items need of it is brought to the node for as long as the task runs.
    type: bool
    default: false
  items:
    description: What to install.
    type: list
    elements: dict
    required: true
    suboptions:
      url:
        description: Upstream's address.
        type: str
        required: true
      checksum:
        description: Pinned digest, as V(sha256:<hex>).
        type: str
      checksum_url:
        description: Upstream's address of the file with the digest. Needed without O(items[].checksum).
        type: str
      component:
        description: Name for people.
        type: str
      version:
        description: Version, kept in the record of what was installed.
        type: str
        required: true
      dest:
        description: Path of a single file.
        type: path
      mode:
        description: Mode of a single file.
        type: str
        default: "0755"
      links:
        description: Names under which a single file is found too, in its own directory. One that the node has as a command already is left.
        type: list
        elements: str
        default: []
      unpack:
        description: For an archive, C(dest_dir), C(strip) (leading parts of names to drop) and C(only) (patterns of names).
        type: dict
  proxy:
    description: URL of an HTTP proxy.
    type: str
  timeout:
    description: Seconds without an answer after which a try ends.
    type: int
    default: 60
  retries:
    description: Tries on network errors and server errors.
    type: int
    default: 3
"""

EXAMPLES = r"""
- name: Install kubectl
  kubewright.cluster.artifacts:
    items:
      - url: https://dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubectl
        checksum_url: https://dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubectl.sha256
        version: v1.36.3
        dest: /usr/local/bin/kubectl
"""

RETURN = r"""
changed_paths:
  description: Files that were installed.
  type: list
  elements: str
  returned: always
items:
  description: Per item its URL, status and seconds.
  type: list
  elements: dict
  returned: always
"""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.node import downloads as fetching, ownership as owned


def installed(item, record):
    """Whether everything that an item installs is there, of this version and origin, and untouched since."""
    directory = (item["unpack"] or {}).get("dest_dir")
    entries = {path: entry for path, entry in record["artifacts"].items() if entry.get("url") == item["url"]}
    if not entries or any(entry["version"] != item["version"] for entry in entries.values()):
        return False
    expected = [item["dest"]] if item["dest"] else [path for path in entries if path.startswith(directory + "/")]
    return bool(expected) and all(path in entries and intact(path, entries[path]) for path in expected)


def intact(path, entry):
    try:
        info = os.stat(path)
    except OSError:
        return False
    return info.st_size == entry["size"] and (
        info.st_mtime_ns == entry["mtime_ns"] or fetching.sha256(path) == entry["sha256"]
    )


def bring(source, item, temporaries):
    """Fetch and check one item. Returns [(temporary path, place, sha256)], nothing in place yet."""
    directory = os.path.dirname(item["dest"]) if item["dest"] else item["unpack"]["dest_dir"]
    fetching.room(directory, 200 << 20)
    path, digest = fetching.fetch(source, item, directory)
    temporaries.append(path)
    if item["dest"]:
        os.chmod(path, int(item["mode"], 8))
        return [(path, item["dest"], digest)]
    files = fetching.unpack(path, directory, int(item["unpack"].get("strip", 0)), item["unpack"].get("only"))
    temporaries.extend(temporary for temporary, _relative, _digest in files)
    os.unlink(path)
    return [(temporary, os.path.join(directory, relative), digest) for temporary, relative, digest in files]


def bring_all(source, items, temporaries):
    """Fetch all items at once. Returns (files by item number, seconds by item number, errors)."""
    files, seconds, errors = {}, {}, []

    def one(number):
        started = time.monotonic()
        try:
            files[number] = bring(source, items[number], temporaries)
        except (fetching.FetchError, OSError) as error:
            errors.append(str(error))
        seconds[number] = round(time.monotonic() - started, 2)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(len(items))))
    return files, seconds, sorted(errors)


def place(item, files, record, source):
    """Put one item's files in place; each is in the record before."""
    for temporary, path, digest in files:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        info = os.stat(temporary)
        entry = {
            "sha256": digest,
            "size": info.st_size,
            "mtime_ns": info.st_mtime_ns,
            "source": source.address(item["url"]),
            "url": item["url"],
            "version": item["version"],
        }
        former = record["artifacts"].get(path)
        if former is None and os.path.lexists(path):
            # A program of the same name that is not ours: kept aside, for reset to bring it back.
            owned.keep_former(path, record)
            entry["backup"] = record["files"].pop(path)["backup"]
        elif former and former.get("backup"):
            entry["backup"] = former["backup"]
        record["artifacts"][path] = entry
    owned.write(record)
    for temporary, path, _digest in files:
        os.replace(temporary, path)
    link(item, record)


def link(item, record):
    """The other names of a program, where no command has them."""
    for name in item["links"]:
        path = os.path.join(os.path.dirname(item["dest"]), name)
        if not os.path.lexists(path) and not shutil.which(name):
            record["files"][path] = {"backup": None}
            owned.write(record)
            os.symlink(os.path.basename(item["dest"]), path)


def problems(items):
    found = []
    for item in items:
        if bool(item["dest"]) == bool(item["unpack"]):
            found.append("%s needs either dest or unpack" % item["url"])
        if not item["checksum"] and not item["checksum_url"]:
            found.append("%s has neither checksum nor checksum_url" % item["url"])
        if item["unpack"] and not os.path.isabs(str(item["unpack"].get("dest_dir", ""))):
            found.append("%s: unpack.dest_dir is no absolute path" % item["url"])
    return found


def install(module, wanted, record):
    """Bring and place the wanted items. Fails with every error at once, nothing in place."""
    source = fetching.Source(
        module.params["source"], module.params["proxy"], module.params["timeout"], module.params["retries"]
    )
    for item in wanted:
        owned.make_directory(os.path.dirname(item["dest"]) if item["dest"] else item["unpack"]["dest_dir"], record)
    temporaries = []
    try:
        files, seconds, errors = bring_all(source, wanted, temporaries)
        if errors:
            module.fail_json(msg="Nothing was installed. " + "; ".join(errors))
        for number, item in enumerate(wanted):
            place(item, files[number], record, source)
    finally:
        for path in temporaries:
            if os.path.exists(path):
                os.unlink(path)
    return files, seconds


def main():
    item_spec = {
        "component": {"type": "str"},
        "url": {"type": "str", "required": True},
        "checksum": {"type": "str"},
        "checksum_url": {"type": "str"},
        "version": {"type": "str", "required": True},
        "dest": {"type": "path"},
        "mode": {"type": "str", "default": "0755"},
        "links": {"type": "list", "elements": "str", "default": []},
        "unpack": {"type": "dict"},
    }
    module = AnsibleModule(
        argument_spec={
            "source": {"type": "str", "default": "upstream"},
            "from_controller": {"type": "bool", "default": False},
            "items": {"type": "list", "elements": "dict", "required": True, "options": item_spec},
            "proxy": {"type": "str"},
            "timeout": {"type": "int", "default": 60},
            "retries": {"type": "int", "default": 3},
        },
        supports_check_mode=True,
    )
    wrong = problems(module.params["items"])
    if wrong:
        module.fail_json(msg="; ".join(wrong))
    lock = None if module.check_mode else owned.take_turn()
    record = owned.read()
    wanted = [item for item in module.params["items"] if not installed(item, record)]
    rows = [
        {"url": item["url"], "status": "to be installed" if item in wanted else "as it should be"}
        for item in module.params["items"]
    ]
    if module.check_mode or not wanted:
        module.exit_json(
            changed=bool(wanted),
            changed_paths=[],
            items=rows,
            diff=[{"before": "", "after": "%s %s\n" % (item["url"], item["version"])} for item in wanted],
        )
    files, seconds = install(module, wanted, record)
    if lock:
        lock.close()
    rows = [
        {"url": item["url"], "status": "installed", "seconds": seconds[number]} for number, item in enumerate(wanted)
    ]
    module.exit_json(
        changed=True,
        changed_paths=sorted(path for group in files.values() for _temporary, path, _digest in group),
        items=rows,
    )


if __name__ == "__main__":
    main()
