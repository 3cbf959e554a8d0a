#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: artifacts
short_description: Download, check and install programs in one call
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Downloads several files at the same time and checks each against its SHA-256. They are installed only if all of them
    are right, each in one step.
  - A file that has the right origin and version and is unchanged is not downloaded again.
  - Fails without a change if the record of ownership (C(/etc/kubewright/owned.json)) is damaged.
extends_documentation_fragment: [kubewright.cluster.attributes]
options:
  source:
    description: V(upstream), a base URL with upstream's layout (its addresses without C(https://)), or a directory on
      the node with that layout.
    type: str
    default: upstream
  from_controller:
    description: O(source) is a directory on the controller. The files that the items need are copied to the node while
      the task runs.
    type: bool
    default: false
  items:
    description: What to install.
    type: list
    elements: dict
    required: true
    suboptions:
      url:
        description: Upstream's URL.
        type: str
        required: true
      checksum:
        description: Pinned digest, as V(sha256:<hex>).
        type: str
      checksum_url:
        description: Upstream's URL of the file with the digest. Required without O(items[].checksum).
        type: str
      component:
        description: Name for messages.
        type: str
      version:
        description: Version, which is kept in the record of ownership.
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
        description: Other names of a single file, as links in its directory. Names that are commands on the node
          already are skipped.
        type: list
        elements: str
        default: []
      unpack:
        description: For an archive, C(dest_dir), C(strip) (number of leading path components to drop) and C(only)
          (patterns of names).
        type: dict
  kept:
    description:
      - Downloads nothing. The files are on the node already, where an earlier call installed them below
        C(/opt/kubewright). They are put in place, and the copies there are removed.
      - Fails without a change if one is missing or was changed.
    type: bool
    default: false
  proxy:
    description: URL of an HTTP proxy.
    type: str
  no_proxy:
    description: Host names, domains, addresses and networks that are reached without O(proxy).
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds without data after which a try ends. A file is given up after an hour in any case.
    type: int
    default: 60
  retries:
    description: Number of tries on network and server errors, each of the whole file.
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
  description: Paths of the files that were installed.
  type: list
  elements: str
  returned: always
  sample: [/usr/local/bin/kubeadm]
artifacts:
  description:
    - The items that were installed, each with C(url), C(status) and C(seconds).
    - If nothing is installed, or in check mode, all items, with a C(status) of C(up to date) or C(would be installed).
  type: list
  elements: dict
  returned: always
  sample: [{url: "https://dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubeadm", status: installed, seconds: 1.4}]
"""

import contextlib
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, List, Tuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.base.text_files import leftovers
from ansible_collections.kubewright.cluster.plugins.module_utils.node import downloads, ownership, paths
from ansible_collections.kubewright.cluster.plugins.module_utils.node.downloads import FetchError, Source
from ansible_collections.kubewright.cluster.plugins.module_utils.node.ownership import OwnershipError, Record

Item = Dict[str, Any]
# A file that was fetched: temporary path, path to install it at, SHA-256.
Fetched = Tuple[str, str, str]
ROOM = 200 << 20
WAY_OUT = "Correct kube_artifacts or kube_http_proxy, or wait until the server answers, and run this again."


def installed(item: Item, record: Record) -> bool:
    """Return True if everything that an item installs is there, of this version and origin, and unchanged."""
    directory = (item["unpack"] or {}).get("dest_dir")
    entries = {path: entry for path, entry in record["artifacts"].items() if entry.get("url") == item["url"]}
    if not entries or any(entry.get("version") != item["version"] for entry in entries.values()):
        return False
    expected = [item["dest"]] if item["dest"] else [path for path in entries if path.startswith(directory + "/")]
    return bool(expected) and all(path in entries and downloads.intact(path, entries[path]) for path in expected)


def directory_of(item: Item) -> str:
    """Return the directory that an item is installed to."""
    return os.path.dirname(item["dest"]) if item["dest"] else item["unpack"]["dest_dir"]


def fetch_item(source: Source, item: Item, temporaries: list[str]) -> list[Fetched]:
    """Fetch and check one item, without installing it. Raise FetchError or OSError."""
    directory = directory_of(item)
    downloads.check_space(directory, ROOM)
    path, digest = downloads.fetch(source, item, directory)
    temporaries.append(path)
    if item["dest"]:
        os.chmod(path, int(item["mode"], 8))
        return [(path, item["dest"], digest)]
    files = downloads.unpack(path, directory, int(item["unpack"].get("strip", 0)), item["unpack"].get("only"))
    temporaries.extend(temporary for temporary, _relative, _digest in files)
    os.unlink(path)
    return [(temporary, os.path.join(directory, relative), digest) for temporary, relative, digest in files]


def copies(item: Item, record: Record) -> list[str]:
    """Return where an earlier call put an item's file beside the installed one."""
    return [
        path
        for path, entry in sorted(record["artifacts"].items())
        if path.startswith(paths.VERSIONS + "/")
        and path != item["dest"]
        and (entry.get("url"), entry.get("version")) == (item["url"], item["version"])
        and os.path.basename(path) == os.path.basename(item["dest"] or "")
    ]


def take(item: Item, record: Record, temporaries: list[str]) -> list[Fetched]:
    """Copy an item's file from beside, without installing it. Raise FetchError or OSError."""
    directory = directory_of(item)
    downloads.check_space(directory, ROOM)
    for path in copies(item, record):
        digest = record["artifacts"][path]["sha256"]
        if item["checksum"] in (None, "", "sha256:" + digest) and downloads.intact(path, record["artifacts"][path]):
            temporaries.append(downloads.copy_beside(path, directory, digest))
            os.chmod(temporaries[-1], int(item["mode"], 8))
            return [(temporaries[-1], item["dest"], digest)]
    raise FetchError("%s of %s is not below %s, or was changed there" % (item["url"], item["version"], paths.VERSIONS))


def drop_copies(items: list[Item], record: Record) -> bool:
    """Remove what is installed now from beside. Return True if there was any."""
    found = [path for item in items for path in copies(item, record)]
    for path in found:
        if os.path.lexists(path):
            os.unlink(path)
        del record["artifacts"][path]
        with contextlib.suppress(OSError):  # another release's, or one that is still needed, is there
            os.rmdir(os.path.dirname(path))
    if found:
        ownership.write(record)
    return bool(found)


def fetch_all(
    items: list[Item], get: Callable[[Item], list[Fetched]]
) -> tuple[dict[int, list[Fetched]], dict[int, float], list[str]]:
    """Get all items at the same time. Return (files by item number, seconds by item number, errors)."""
    files: Dict[int, List[Fetched]] = {}
    seconds: Dict[int, float] = {}
    errors: List[str] = []

    def one(number: int) -> None:
        started = time.monotonic()
        try:
            files[number] = get(items[number])
        except (FetchError, OSError) as error:
            errors.append(str(error))
        seconds[number] = round(time.monotonic() - started, 2)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(len(items))))
    return files, seconds, sorted(errors)


def put(item: Item, files: list[Fetched], record: Record, source: Source) -> None:
    """Install one item's files; each is recorded before it is moved into place."""
    for temporary, path, digest in files:
        ownership.make_directory(os.path.dirname(path), record)
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
            # A program of this name that is not ours: reset restores it.
            ownership.back_up_former(path, record)
            entry["backup"] = record["files"].pop(path)["backup"]
        elif former and former.get("backup"):
            entry["backup"] = former["backup"]
        record["artifacts"][path] = entry
    ownership.write(record)
    for temporary, path, _digest in files:
        os.replace(temporary, path)
    link(item, record)


def link(item: Item, record: Record) -> None:
    """Make the other names of a program, unless the node has such a command."""
    for name in item["links"]:
        path = os.path.join(os.path.dirname(item["dest"]), name)
        if not os.path.lexists(path) and not shutil.which(name):
            record["files"][path] = {"backup": None}
            ownership.write(record)
            os.symlink(os.path.basename(item["dest"]), path)


def problems(items: list[Item]) -> list[str]:
    """Return everything that is wrong with the items."""
    found = []
    for item in items:
        if bool(item["dest"]) == bool(item["unpack"]):
            found.append("%s needs either dest or unpack" % item["url"])
        if not item["checksum"] and not item["checksum_url"]:
            found.append("%s has neither checksum nor checksum_url" % item["url"])
        if item["unpack"] and not os.path.isabs(str(item["unpack"].get("dest_dir", ""))):
            found.append("%s: unpack.dest_dir is not an absolute path" % item["url"])
        if item["links"] and not item["dest"]:
            found.append("%s: links need dest" % item["url"])
    return found


def install(
    source: Source, wanted: list[Item], record: Record, kept: bool = False
) -> tuple[list[str], dict[int, float]]:
    """Fetch and install the items. Return (paths, seconds by item number). kept: take them from beside.

    Raise FetchError with every error at once if one cannot be fetched; nothing is installed then.
    """
    for directory in sorted({directory_of(item) for item in wanted}):
        ownership.make_directory(directory, record)
        for path in leftovers(directory):
            os.unlink(path)
    temporaries: List[str] = []
    try:

        def get(item: Item) -> list[Fetched]:
            return take(item, record, temporaries) if kept else fetch_item(source, item, temporaries)

        files, seconds, errors = fetch_all(wanted, get)
        if errors:
            ownership.write(record)  # it names the directories that were made
            raise FetchError("Nothing was installed. %s. %s" % (downloads.joined(errors), WAY_OUT))
        for number, item in enumerate(wanted):
            put(item, files[number], record, source)
    finally:
        for path in temporaries:
            if os.path.exists(path):
                os.unlink(path)
    return sorted(path for group in files.values() for _temporary, path, _digest in group), seconds


ITEM = {
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
ARGUMENTS = {
    "kept": {"type": "bool", "default": False},
    "source": {"type": "str", "default": "upstream"},
    "from_controller": {"type": "bool", "default": False},
    "items": {"type": "list", "elements": "dict", "required": True, "options": ITEM},
    "proxy": {"type": "str", "no_log": True},  # it may have a login
    "no_proxy": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "int", "default": 60},
    "retries": {"type": "int", "default": 3},
}


def carry_out(parameters: dict[str, Any], record: Record, check_mode: bool) -> dict[str, Any]:
    """Install what is not there yet, and return the module's result. Raise FetchError or OSError."""
    items = parameters["items"]
    wanted = [item for item in items if not installed(item, record)]
    if not check_mode and parameters["kept"] and not wanted:
        drop_copies(items, record)
    if check_mode or not wanted:
        return {
            "changed": bool(wanted),
            "changed_paths": [],
            "artifacts": [
                {"url": item["url"], "status": "would be installed" if item in wanted else "up to date"}
                for item in items
            ],
            "diff": [{"before": "", "after": "%s %s\n" % (item["url"], item["version"])} for item in wanted],
        }
    source = Source(*(parameters[name] for name in ("source", "proxy", "timeout", "retries", "no_proxy")))
    changed_paths, seconds = install(source, wanted, record, parameters["kept"])
    if parameters["kept"]:
        drop_copies(items, record)
    rows = [
        {"url": item["url"], "status": "installed", "seconds": seconds[number]} for number, item in enumerate(wanted)
    ]
    return {"changed": True, "changed_paths": changed_paths, "artifacts": rows}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    wrong = problems(module.params["items"])
    if wrong:
        module.fail_json(msg="; ".join(wrong))
    try:
        with ownership.changing(module.check_mode) as record:
            result = carry_out(module.params, record, module.check_mode)
    except (OwnershipError, FetchError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
