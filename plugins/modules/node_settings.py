#!/usr/bin/python
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_settings
short_description: Set kernel modules, kernel settings, swap, journal and kernel command line in one call
version_added: 0.1.0
author: kubewright contributors (@kubewright)
description:
  - Sets them now and for the next boot, and notes what was before for M(kubewright.cluster.host_reset).
  - In a container, where modules cannot be loaded, it is enough that the kernel has the feature.
extends_documentation_fragment: [kubewright.cluster.attributes]
options:
  modules:
    description: Kernel modules to load.
    type: list
    elements: str
    default: []
  sysctls:
    description: Kernel settings by name.
    type: dict
    default: {}
  swap:
    description: V(off) turns swap off - active devices, lines of C(/etc/fstab), swap units and zram services. V(keep) leaves it.
    type: str
    default: keep
    choices: ["off", keep]
  kernel_arguments:
    description:
      - Words for the kernel's command line, C(words), and the C(file) that a board's firmware reads it from. They count from the next boot on.
    type: dict
    default: {}
  journald:
    description: V(volatile) keeps the journal in memory. V(keep) leaves it.
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
  description: What was (or in check mode would be) changed, in words.
  type: list
  elements: str
  returned: always
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubewright.cluster.plugins.module_utils.node import os_settings as settings, ownership as owned


class Node:
    """The node, and what is changed on it."""

    def __init__(self, module):
        self.module, self.changes, self.diff, self.problems = module, [], [], []
        self.record = owned.read()
        self.filesystems = self.text("/proc/filesystems")
        self.in_container = (
            os.path.exists("/run/.containerenv")
            or os.path.exists("/.dockerenv")
            or b"container=" in self.text("/proc/1/environ").encode()
        )

    @staticmethod
    def text(path):
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                return stream.read()
        except OSError:
            return ""

    def change(self, sentence):
        """Note a change. Returns whether it is to be carried out."""
        self.changes.append(sentence)
        return not self.module.check_mode

    def keep_file(self, path, content):
        before = self.text(path)
        if before == content and path in self.record["files"]:
            return
        self.diff.append({"before_header": path, "after_header": path, "before": before, "after": content})
        if self.change("write %s" % path):
            owned.make_directory(os.path.dirname(path), self.record)
            owned.keep_former(path, self.record)
            owned.write(self.record)
            owned.write_atomically(path, content.encode(), 0o644)

    def load_modules(self, names):
        for name in names:
            if settings.module_there(name, self.filesystems):
                continue
            if not self.change("load the module %s" % name):
                continue
            if not self.in_container:  # there, others may use it
                noted = self.record["settings"].setdefault("modules", [])
                noted += [name] if name not in noted else []
                owned.write(self.record)
            status, _output, errors = (
                self.module.run_command(["modprobe", name], handle_exceptions=False)
                if self.module.get_bin_path("modprobe")
                else (1, "", "no modprobe")
            )
            if status and not settings.module_there(name, self.text("/proc/filesystems")):
                hint = (
                    "load it on the host of this container"
                    if self.in_container
                    else "install the package with it (RHEL: kernel-modules-extra) and boot that kernel"
                )
                self.problems.append(
                    "%s: the kernel %s cannot load the module %s (%s); %s"
                    % (os.uname()[1], os.uname()[2], name, errors.strip(), hint)
                )
        if names:
            self.keep_file(settings.MODULES_FILE, settings.modules_text(names))

    def note_cluster_sysctls(self):
        """Notes, before there is a cluster, what it will change by itself. Containers share all but the network's settings with others."""
        if self.module.check_mode or settings.SYSCTL_FILE in self.record["files"]:
            return
        noted = self.record["settings"].setdefault("sysctls", {})
        for name in settings.CLUSTER_SYSCTLS:
            there = settings.sysctl_value(name)
            if there is not None and (name.startswith("net.") or not self.in_container):
                noted.setdefault(name, there)

    def set_sysctls(self, values):
        if values:
            self.note_cluster_sysctls()
        for name, value in sorted(values.items()):
            there = settings.sysctl_value(name)
            if there == value or (there is None and self.in_container):
                continue
            self.diff.append({"before": "%s = %s\n" % (name, there), "after": "%s = %s\n" % (name, value)})
            if not self.change("set %s to %s (was %s)" % (name, value, there)):
                continue
            if there is not None:
                self.record["settings"].setdefault("sysctls", {}).setdefault(name, there)
                owned.write(self.record)
            try:
                with open(settings.sysctl_path(name), "w", encoding="utf-8") as stream:
                    stream.write(value)
            except OSError as error:
                self.problems.append("%s: %s cannot be set to %s: %s" % (os.uname()[1], name, value, error.strerror))
        if values:
            self.keep_file(settings.SYSCTL_FILE, settings.sysctl_text(values))

    def swap_off(self):
        fstab = self.text(settings.FSTAB)
        lines = settings.swap_lines(fstab)
        devices = settings.swap_devices(self.text("/proc/swaps"))
        units = self.swap_units() if devices else []
        noted = self.record["settings"].setdefault("swap", {"fstab": [], "units": []})
        if lines:
            after = settings.without_swap(fstab)
            self.diff.append(
                {"before_header": settings.FSTAB, "after_header": settings.FSTAB, "before": fstab, "after": after}
            )
            if self.change("comment %d swap lines in %s" % (len(lines), settings.FSTAB)):
                noted["fstab"] += [line for line in lines if line not in noted["fstab"]]
                owned.write(self.record)
                info = os.stat(settings.FSTAB)
                owned.write_atomically(settings.FSTAB, after.encode(), info.st_mode & 0o777, info.st_uid, info.st_gid)
        for unit in units:
            if self.change("mask %s" % unit):
                noted["units"] += [unit] if unit not in noted["units"] else []
                owned.write(self.record)
                # Stopped first: a masked unit no longer knows what to turn off.
                self.run(["systemctl", "stop", unit])
                self.run(["systemctl", "mask", unit])
        for device in devices:
            if self.change("turn off swap on %s" % device) and device in settings.swap_devices(
                self.text("/proc/swaps")
            ):
                self.run(["swapoff", device])
        if lines and not self.module.check_mode and os.path.isdir("/run/systemd/system"):
            self.run(["systemctl", "daemon-reload"])

    def boot_with(self, path, words):
        """The words in the file of the kernel's command line; those that we add are noted for reset."""
        path = os.path.realpath(path)  # a link stays one
        before = settings.command_line(path)
        after = settings.with_arguments(before, words)
        noted = self.record["settings"].get("kernel_arguments") or {}
        if noted.get("file") != path:
            noted = {"file": path, "words": []}
        if before == after:
            self.await_boot(noted)
            return
        self.diff.append({"before_header": path, "after_header": path, "before": before, "after": after})
        if not self.change("add %s to %s" % (" ".join(words), path)):
            return
        noted["words"] += [word for word in words if word not in before.partition("\n")[0].split() + noted["words"]]
        noted.pop("boot", None)
        self.await_boot(noted)
        try:
            owned.write_atomically(path, after.encode("latin-1"), os.stat(path).st_mode & 0o777)
        except OSError as error:
            self.problems.append("%s: %s cannot be written: %s" % (os.uname()[1], path, error.strerror))

    def await_boot(self, noted):
        """Notes in which boot the words were there and not yet read: a later one that has not read them never will."""
        if self.module.check_mode or noted.get("boot"):
            return
        noted["boot"] = self.text("/proc/sys/kernel/random/boot_id").strip()
        self.record["settings"]["kernel_arguments"] = noted
        owned.write(self.record)

    def journal_in_memory(self):
        """The file, and journald started anew; on record once it was, so that a run that is killed in between is finished by the next."""
        done = len(self.changes)
        self.keep_file(settings.JOURNAL_FILE, settings.journal_text())
        if len(self.changes) == done and self.record["settings"].get("journald") == "volatile":
            return
        if self.change("restart systemd-journald"):
            self.run(["systemctl", "restart", "systemd-journald"])
            self.record["settings"]["journald"] = "volatile"
            owned.write(self.record)

    def swap_units(self):
        """Units that would turn swap on again at boot: swap units not made from fstab, and zram's services."""
        if not os.path.isdir("/run/systemd/system"):
            return []
        status, output, _errors = self.module.run_command(
            ["systemctl", "list-units", "--type=swap", "--no-legend", "--plain", "--full"]
        )
        found = [line.split()[0] for line in output.splitlines() if line.strip()] if status == 0 else []
        names = found + list(settings.SWAP_UNITS)
        names += [
            "systemd-zram-setup@%s.service" % os.path.basename(device)
            for device in settings.swap_devices(self.text("/proc/swaps"))
            if "zram" in device
        ]
        status, output, _errors = self.module.run_command(
            ["systemctl", "show", "-p", "Id,LoadState,UnitFileState,SourcePath", *names]
        )
        blocks = [
            dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in output.split("\n\n")
        ]
        return [
            block["Id"]
            for block in blocks
            if block.get("LoadState") == "loaded" and block.get("SourcePath") != settings.FSTAB and block.get("Id")
        ]

    def run(self, argv):
        status, _output, errors = self.module.run_command(argv)
        if status:
            self.problems.append("%s: %s: %s" % (os.uname()[1], " ".join(argv), errors.strip()))


def main():
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
    lock = None if module.check_mode else owned.take_turn()
    node = Node(module)
    node.load_modules(module.params["modules"])
    node.set_sysctls({name: str(value) for name, value in module.params["sysctls"].items()})
    if module.params["swap"] == "off":
        node.swap_off()
    if module.params["journald"] == "volatile":
        node.journal_in_memory()
    if module.params["kernel_arguments"]:
        node.boot_with(module.params["kernel_arguments"]["file"], module.params["kernel_arguments"]["words"])
    if lock:
        lock.close()
    if node.problems:
        module.fail_json(msg="; ".join(node.problems), changes=node.changes)
    module.exit_json(changed=bool(node.changes), changes=node.changes, diff=node.diff)


if __name__ == "__main__":
    main()
