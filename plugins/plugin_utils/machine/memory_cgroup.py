# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small boards: the memory cgroup that a Raspberry Pi's kernel has switched off, and the card that everything is written to.

https://docs.k3s.io/installation/requirements#operating-systems (Raspberry Pi)
"""

from __future__ import annotations

from ..base.reference import K3S_PAGE, SLOW_DISKS

JOURNAL = "/etc/systemd/journald.conf.d/50-kubewright.conf"
WORDS = ["cgroup_memory=1", "cgroup_enable=memory"]


def off(info: dict) -> bool:
    """Return True if the kernel has the memory cgroup switched off."""
    controllers = info["cgroup"].get("controllers")
    return bool(controllers) and "memory" not in controllers


def _board(info):
    return info.get("board") or {}


def _has(info, name):
    """Return True if the kernel's command line (cmdline), or the one of the next boot (cmdline_next), switches it on."""
    return WORDS[1] in (_board(info).get(name) or "").split()


def enabled_until_reboot(info: dict) -> bool:
    """Return True if the memory cgroup is on now, but its kernel arguments are gone from the file, so that the next boot turns it off."""
    return not off(info) and _has(info, "cmdline") and bool(_board(info).get("cmdline_next")) and not _has(info, "cmdline_next")


def firmware_ignored_file(info: dict) -> bool:
    """Return True if the machine has booted since the arguments are in the file and does not have them: the firmware reads another file."""
    noted = ((info.get("owned") or {}).get("settings") or {}).get("kernel_arguments") or {}
    before, now = noted.get("boot"), _board(info).get("boot")
    return off(info) and _has(info, "cmdline_next") and bool(before and now) and before != now


def kernel_arguments(info: dict, may_reboot: bool) -> dict:
    """Return the kernel arguments to add, {file, words}; empty if none are needed, or if the file is unknown."""
    path = _board(info).get("cmdline_file")
    return {"file": path, "words": list(WORDS)} if path and (off(info) or may_reboot and enabled_until_reboot(info)) else {}


def steps(info: dict) -> dict:
    """Return the step of a node that has to reboot, {"reboot": [why]}; empty if it does not."""
    if not off(info) or not _board(info).get("cmdline_file"):
        return {}
    return {"reboot": ["the kernel's memory cgroup is off until it boots with %s" % " ".join(WORDS)]}


def problems(name: str, info: dict, may_reboot: bool) -> list:
    """Sentences on a memory cgroup that is off."""
    if not off(info):
        return []
    text = "%s: the kernel's memory cgroup is off, which the kubelet needs; " % name
    place, words = _board(info).get("cmdline_file"), " ".join(WORDS)
    if _has(info, "cmdline"):
        return [text + "it was booted with %s all the same: take another kernel (%s)" % (WORDS[1], K3S_PAGE)]
    if not place:
        return [text + "add %s to the kernel's command line and reboot (%s)" % (words, K3S_PAGE)]
    if firmware_ignored_file(info):
        way_out = "%s has %s and it was booted without it: add it to the file that its firmware reads (config.txt: cmdline=, os_prefix=), and reboot"
        return [text + way_out % (place, WORDS[1])]
    if may_reboot:
        return []
    way_out = "set kube_allow_reboot: true, and %s is added to %s and the node rebooted; or do it yourself (%s)"
    return [text + way_out % (words, place, K3S_PAGE)]


def wrong_journal(facts: dict) -> list:
    """Why the journal is not in memory as it was asked for, at most one sentence."""
    if not (facts.get("files") or {}).get(JOURNAL):
        return ["%s is missing" % JOURNAL]
    read = ((facts.get("owned") or {}).get("settings") or {}).get("journald") == "volatile"
    return [] if read else ["journald has not read %s yet" % JOURNAL]


def warnings(name: str, info: dict, journald: str, may_reboot: bool) -> list:
    """Sentences on what wears a card out, and on a memory cgroup that the next boot switches off."""
    found = []
    disks = info.get("disks") or {}
    kinds = {(disk or {}).get("kind") for disk in ([disks["/var/log"]] if disks.get("/var/log") else disks.values())}
    if journald != "volatile" and _board(info).get("journal") != "memory" and kinds & set(SLOW_DISKS):
        found.append("%s: its journal is written to a card that wears out; kube_journald: volatile keeps it in memory" % name)
    if enabled_until_reboot(info) and not may_reboot:
        way_out = "%s: the memory cgroup is on until the next boot, %s no longer has %s; add it, or set kube_allow_reboot: true and it is added"
        found.append(way_out % (name, _board(info)["cmdline_file"], WORDS[1]))
    return found
