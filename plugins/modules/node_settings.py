#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_settings
short_description: Set kernel modules, sysctls, swap, journal and kernel arguments in one call
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Sets them now and for the next boot, and records the former state for M(kubewright.cluster.host_reset).
  - In a container, where modules cannot be loaded, it is enough if the host's kernel has the feature.
  - Fails without a change if the record of ownership (C(/etc/kubewright/owned.json)) is damaged.
extends_documentation_fragment: [kubewright.cluster.attributes]
options:
  modules:
    description: Kernel modules to load.
    type: list
    elements: str
    default: []
  sysctls:
    description: Values of sysctls by name.
    type: dict
    default: {}
  swap:
    description: V(off) turns swap off - active devices, lines of C(/etc/fstab), swap units and zram services. V(keep)
      does not change it.
    type: str
    default: keep
    choices: ["off", keep]
  kernel_arguments:
    description:
      - C(words) to add to the kernel's command line, and the C(file) from which the board's firmware reads it. They
        take effect at the next boot.
    type: dict
    default: {}
  journald:
    description: V(volatile) keeps the journal in memory. V(keep) does not change it.
    type: str
    default: keep
    choices: [keep, volatile]
"""

EXAMPLES = r"""
- name: Prepare a node
  kubewright.cluster.node_settings:
    modules: [overlay, br_netfilter]
    sysctls: {net.ipv4.ip_forward: "1"}
    swap: "off"
"""

RETURN = r"""
changes:
  description: What was changed, or in check mode would be, in words.
  type: list
  elements: str
  returned: always
"""

import os
from typing import Any, Dict, List

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.base import commands
from ansible_collections.kubewright.cluster.plugins.module_utils.base.text_files import read_text, write_atomically
from ansible_collections.kubewright.cluster.plugins.module_utils.node import os_settings, ownership, paths
from ansible_collections.kubewright.cluster.plugins.module_utils.node.ownership import OwnershipError

# For one command. Turning swap off reads all of it back into memory, which takes minutes on a slow disk.
SECONDS = 900


class Node:
    """The node, and what is changed on it."""

    def __init__(self, module: AnsibleModule) -> None:
        """Raise OwnershipError if the record of ownership is damaged."""
        self.module = module
        self.changes: List[str] = []
        self.diff: List[Dict[str, str]] = []
        self.problems: List[str] = []
        self.record = ownership.read()
        self.filesystems = read_text("/proc/filesystems")
        self.in_container = (
            os.path.exists("/run/.containerenv")
            or os.path.exists("/.dockerenv")
            or "container=" in read_text("/proc/1/environ")
        )

    def change(self, sentence: str) -> bool:
        """Record a change. Return True if it has to be made, False in check mode."""
        self.changes.append(sentence)
        return not self.module.check_mode

    def problem(self, sentence: str) -> None:
        """Record a failure with the node's name."""
        self.problems.append("%s: %s" % (os.uname()[1], sentence))

    def show(self, path: str, before: str, after: str) -> None:
        """Add a file to the diff."""
        self.diff.append({"before_header": path, "after_header": path, "before": before, "after": after})

    def keep_file(self, path: str, content: str) -> None:
        """Write a file of ours if it differs."""
        before = read_text(path)
        if before == content and path in self.record["files"]:
            return
        self.show(path, before, content)
        if self.change("write %s" % path):
            ownership.make_directory(os.path.dirname(path), self.record)
            ownership.back_up_former(path, self.record)
            ownership.write(self.record)
            write_atomically(path, content.encode(), 0o644)

    # -- modules and sysctls ---------------------------------------------------------------------------------------

    def load_modules(self, names: list[str]) -> None:
        """Load kernel modules now and at boot."""
        for name in names:
            if not os_settings.has_module(name, self.filesystems) and self.change("load the module %s" % name):
                self.load(name)
        if names:
            self.keep_file(paths.MODULES_FILE, os_settings.modules_text(names))

    def load(self, name: str) -> None:
        """Load one module and record it, unless others may use it too, as outside of a container."""
        if not self.in_container:
            noted = self.record["settings"].setdefault("modules", [])
            noted += [name] if name not in noted else []
            ownership.write(self.record)
        done = commands.run(["modprobe", name], timeout=SECONDS)
        errors = "modprobe is not installed" if done.rc == commands.NOT_STARTED else done.complaint()
        if done.rc and not os_settings.has_module(name, read_text("/proc/filesystems")):
            hint = "install the package that has it (RHEL: kernel-modules-extra) and boot that kernel"
            if self.in_container:
                hint = "load it on the host of this container"
            text = "the kernel %s cannot load the module %s (%s); %s"
            self.problem(text % (os.uname()[2], name, errors, hint))

    def record_cluster_sysctls(self) -> None:
        """Record the settings that the cluster will change, before there is one. Containers share most of them."""
        if self.module.check_mode or paths.SYSCTL_FILE in self.record["files"]:
            return
        noted = self.record["settings"].setdefault("sysctls", {})
        for name in os_settings.CLUSTER_SYSCTLS:
            value = os_settings.sysctl_value(name)
            if value is not None and (name.startswith("net.") or not self.in_container):
                noted.setdefault(name, value)

    def set_sysctls(self, values: dict[str, str]) -> None:
        """Set sysctls now and at boot."""
        if not values:
            return
        self.record_cluster_sysctls()
        for name, value in sorted(values.items(), key=os_settings.sysctl_order):
            before = os_settings.sysctl_value(name)
            if before == value or (before is None and self.in_container):
                continue
            self.diff.append({"before": "%s = %s\n" % (name, before), "after": "%s = %s\n" % (name, value)})
            if self.change("set %s to %s (was %s)" % (name, value, before)):
                self.set_sysctl(name, value, before)
        self.keep_file(paths.SYSCTL_FILE, os_settings.sysctl_text(values))

    def set_sysctl(self, name: str, value: str, before: str | None) -> None:
        """Set one sysctl, and record its former value."""
        if before is not None:
            self.record["settings"].setdefault("sysctls", {}).setdefault(name, before)
            ownership.write(self.record)
        try:
            with open(os_settings.sysctl_path(name), "w", encoding="utf-8") as stream:
                stream.write(value)
        except OSError as error:
            self.problem("%s cannot be set to %s: %s" % (name, value, error.strerror))

    # -- swap ------------------------------------------------------------------------------------------------------

    def swap_off(self) -> None:
        """Turn swap off now and at boot."""
        fstab = os_settings.exact_text(paths.FSTAB)
        lines = os_settings.swap_lines(fstab)
        devices = os_settings.swap_devices(read_text("/proc/swaps"))
        noted = self.record["settings"].setdefault("swap", {"fstab": [], "units": []})
        if lines:
            self.comment_swap_lines(fstab, lines, noted)
        for unit in self.swap_units() if devices else []:
            if self.change("mask %s" % unit):
                noted["units"] += [unit] if unit not in noted["units"] else []
                ownership.write(self.record)
                # Stopped first: a masked unit no longer knows what to turn off.
                self.run(["systemctl", "stop", unit])
                self.run(["systemctl", "mask", unit])
        for device in devices:
            # Stopping a unit may have turned it off already.
            carry_out = self.change("turn off swap on %s" % device)
            if carry_out and device in os_settings.swap_devices(read_text("/proc/swaps")):
                self.run(["swapoff", device])
        if lines and not self.module.check_mode and os.path.isdir("/run/systemd/system"):
            self.run(["systemctl", "daemon-reload"])

    def comment_swap_lines(self, fstab: str, lines: list[str], noted: dict[str, Any]) -> None:
        """Comment out the swap lines of fstab, and record them."""
        after = os_settings.without_swap(fstab)
        self.show(paths.FSTAB, *(text.encode("latin-1").decode("utf-8", "replace") for text in (fstab, after)))
        if self.change("comment out %d swap lines in %s" % (len(lines), paths.FSTAB)):
            noted["fstab"] += [line for line in lines if line not in noted["fstab"]]
            ownership.write(self.record)
            info = os.stat(paths.FSTAB)
            content = after.encode("latin-1")
            write_atomically(paths.FSTAB, content, info.st_mode & 0o777, info.st_uid, info.st_gid)

    def swap_units(self) -> list[str]:
        """Return the units that would turn swap on again at boot: swap units that are not from fstab, and zram's."""
        if not os.path.isdir("/run/systemd/system"):
            return []
        listing = ["systemctl", "list-units", "--type=swap", "--no-legend", "--plain", "--full"]
        listed = commands.run(listing, timeout=SECONDS)
        if listed.rc:
            self.problem("the swap units are unknown: %s" % listed.complaint())
            return []
        names = [line.split()[0] for line in listed.out.splitlines() if line.strip()] + list(os_settings.SWAP_UNITS)
        names += [
            "systemd-zram-setup@%s.service" % os.path.basename(device)
            for device in os_settings.swap_devices(read_text("/proc/swaps"))
            if "zram" in device
        ]
        shown = commands.run(
            ["systemctl", "show", "-p", "Id,LoadState,UnitFileState,SourcePath", *names], timeout=SECONDS
        )
        if shown.rc:
            self.problem("the states of the swap units are unknown: %s" % shown.complaint())
            return []
        blocks = [
            dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in shown.out.split("\n\n")
        ]
        return [
            block["Id"]
            for block in blocks
            if block.get("LoadState") == "loaded" and block.get("SourcePath") != paths.FSTAB and block.get("Id")
        ]

    # -- kernel arguments and journal ------------------------------------------------------------------------------

    def set_kernel_arguments(self, path: str, words: list[str]) -> None:
        """Add words to the file of the kernel's command line; those that we add are recorded for reset."""
        path = os.path.realpath(path)  # a link stays a link
        try:
            before = os_settings.exact_text(path)
        except OSError as error:
            self.problem("%s cannot be read: %s" % (path, error.strerror))
            return
        after = os_settings.with_arguments(before, words)
        noted = self.record["settings"].get("kernel_arguments") or {}
        if noted.get("file") != path:
            noted = {"file": path, "words": []}
        if before == after:
            self.record_boot(noted)
            return
        self.show(path, before, after)
        if not self.change("add %s to %s" % (" ".join(words), path)):
            return
        noted["words"] += [word for word in words if word not in before.partition("\n")[0].split() + noted["words"]]
        noted.pop("boot", None)
        self.record_boot(noted)
        try:
            write_atomically(path, after.encode("latin-1"), os.stat(path).st_mode & 0o777)
        except OSError as error:
            self.problem("%s cannot be written: %s" % (path, error.strerror))

    def record_boot(self, noted: dict[str, Any]) -> None:
        """Record the boot in which the words were added. If a later boot does not have them, no boot will."""
        if self.module.check_mode or noted.get("boot"):
            return
        noted["boot"] = read_text("/proc/sys/kernel/random/boot_id").strip()
        self.record["settings"]["kernel_arguments"] = noted
        ownership.write(self.record)

    def keep_journal_in_memory(self) -> None:
        """Write journald's configuration and restart it. Record it last, so that the next run finishes a killed one."""
        before = len(self.changes)
        self.keep_file(paths.JOURNAL_FILE, os_settings.journal_text())
        if len(self.changes) == before and self.record["settings"].get("journald") == "volatile":
            return
        if self.change("restart systemd-journald"):
            self.run(["systemctl", "restart", "systemd-journald"])
            self.record["settings"]["journald"] = "volatile"
            ownership.write(self.record)

    def restore_journal(self) -> None:
        """Take our configuration of journald back, and restart it. It is recorded until that is done."""
        if self.record["settings"].get("journald") is None and paths.JOURNAL_FILE not in self.record["files"]:
            return
        if not self.change("remove %s and restart systemd-journald" % paths.JOURNAL_FILE):
            return
        if paths.JOURNAL_FILE in self.record["files"]:
            ownership.take_back(paths.JOURNAL_FILE, self.record)
        self.run(["systemctl", "restart", "systemd-journald"])
        del self.record["settings"]["journald"]
        ownership.write(self.record)

    def run(self, argv: list[str]) -> None:
        """Run a command; its failure is a problem."""
        done = commands.run(argv, timeout=SECONDS)
        if done.rc:
            self.problem("%s: %s" % (" ".join(argv), done.complaint()))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "modules": {"type": "list", "elements": "str", "default": []},
            "sysctls": {"type": "dict", "default": {}},
            "swap": {"type": "str", "default": "keep", "choices": ["off", "keep"]},
            "kernel_arguments": {"type": "dict", "default": {}},
            "journald": {"type": "str", "default": "keep", "choices": ["keep", "volatile"]},
        },
        supports_check_mode=True,
    )
    lock = None
    try:
        lock = None if module.check_mode else ownership.lock_node()
        node = Node(module)
    except OwnershipError as error:
        module.fail_json(msg="%s: %s" % (os.uname()[1], error))
    parameters = module.params
    node.load_modules(parameters["modules"])
    node.set_sysctls({name: str(value) for name, value in parameters["sysctls"].items()})
    if parameters["swap"] == "off":
        node.swap_off()
    if parameters["journald"] == "volatile":
        node.keep_journal_in_memory()
    else:
        node.restore_journal()
    if parameters["kernel_arguments"]:
        node.set_kernel_arguments(parameters["kernel_arguments"]["file"], parameters["kernel_arguments"]["words"])
    if lock:
        lock.close()
    if node.problems:
        module.fail_json(msg="; ".join(node.problems), changes=node.changes)
    module.exit_json(changed=bool(node.changes), changes=node.changes, diff=node.diff)


if __name__ == "__main__":
    main()
