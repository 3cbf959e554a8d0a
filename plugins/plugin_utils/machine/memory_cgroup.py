# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small boards: the memory cgroup, which is off on a Raspberry Pi by default, and the card that everything is written
to.

https://docs.k3s.io/installation/requirements#operating-systems (Raspberry Pi)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base.findings import Finding
from ..base.reference import K3S_PAGE, SLOW_DISKS

JOURNAL = "/etc/systemd/journald.conf.d/50-kubewright.conf"
WORDS = ["cgroup_memory=1", "cgroup_enable=memory"]
Facts = Mapping[str, Any]


def off(info: Facts) -> bool:
    """Return True if the kernel has the memory cgroup switched off."""
    controllers = info["cgroup"].get("controllers")
    return bool(controllers) and "memory" not in controllers


def _board(info: Facts) -> Mapping[str, Any]:
    return info.get("board") or {}


def _has(info: Facts, name: str) -> bool:
    """Return True if the kernel's command line (cmdline), or that of the next boot (cmdline_next), switches it on."""
    return WORDS[1] in (_board(info).get(name) or "").split()


def enabled_until_reboot(info: Facts) -> bool:
    """Return True if the memory cgroup is on now, but the next boot turns it off: its arguments are not in the file."""
    return (
        not off(info)
        and _has(info, "cmdline")
        and bool(_board(info).get("cmdline_next"))
        and not _has(info, "cmdline_next")
    )


def firmware_ignored_file(info: Facts) -> bool:
    """Return True if a boot did not take over the arguments in the file: the firmware reads another file."""
    noted = ((info.get("owned") or {}).get("settings") or {}).get("kernel_arguments") or {}
    before, now = noted.get("boot"), _board(info).get("boot")
    return off(info) and _has(info, "cmdline_next") and bool(before and now) and before != now


def kernel_arguments(info: Facts, may_reboot: bool) -> dict[str, Any]:
    """Return the kernel arguments to add, {file, words}; empty if none are needed, or if the file is unknown."""
    path = _board(info).get("cmdline_file")
    return (
        {"file": path, "words": list(WORDS)}
        if path and (off(info) or may_reboot and enabled_until_reboot(info))
        else {}
    )


def steps(info: Facts) -> dict[str, list[str]]:
    """Return the step of a node that has to reboot, {"reboot": [why]}; empty if it does not."""
    if not off(info) or not _board(info).get("cmdline_file"):
        return {}
    return {"reboot": ["the memory cgroup is off until the kernel boots with %s" % " ".join(WORDS)]}


def refusals(host: str, info: Facts, may_reboot: bool) -> list[Finding]:
    """Refuse a machine whose memory cgroup is off, unless this run can turn it on."""
    if not off(info):
        return []
    way_out = _way_out(info, may_reboot)
    if not way_out:
        return []
    text = "%s: the kernel's memory cgroup is off, and the kubelet needs it. %s"
    return [Finding("memory_cgroup.off", text % (host, way_out), host)]


def _way_out(info: Facts, may_reboot: bool) -> str:
    """Return how to turn the memory cgroup on; empty if the run does it."""
    file, words = _board(info).get("cmdline_file"), " ".join(WORDS)
    if _has(info, "cmdline"):
        return "It was booted with %s, which this kernel ignores: boot another kernel (%s)." % (WORDS[1], K3S_PAGE)
    if not file:
        return "Add %s to the kernel's command line and reboot (%s)." % (words, K3S_PAGE)
    if firmware_ignored_file(info):
        text = (
            "%s has %s, but the machine booted without it. Add it to the file that the firmware reads "
            "(config.txt: cmdline=, os_prefix=) and reboot."
        )
        return text % (file, WORDS[1])
    if may_reboot:
        return ""
    return "Set kube_allow_reboot: true to add %s to %s and reboot the node, or do it yourself (%s)." % (
        words,
        file,
        K3S_PAGE,
    )


def wrong_journal(facts: Facts) -> list[str]:
    """Return why the journal is not in memory as requested, at most one sentence."""
    if not (facts.get("files") or {}).get(JOURNAL):
        return ["%s is missing" % JOURNAL]
    read = ((facts.get("owned") or {}).get("settings") or {}).get("journald") == "volatile"
    return [] if read else ["journald has not read %s yet" % JOURNAL]


def warnings(host: str, info: Facts, journald: str, may_reboot: bool) -> list[Finding]:
    """Warn of what wears a card out, and of a memory cgroup that the next boot turns off."""
    found = []
    disks = info.get("disks") or {}
    kinds = {(disk or {}).get("kind") for disk in ([disks["/var/log"]] if disks.get("/var/log") else disks.values())}
    if journald != "volatile" and _board(info).get("journal") != "memory" and kinds & set(SLOW_DISKS):
        text = (
            "%s: the journal is written to a card, which wears it out. Set kube_journald: volatile to keep "
            "it in memory."
        )
        found.append(Finding("journald.on_card", text % host, host))
    if enabled_until_reboot(info) and not may_reboot:
        text = (
            "%s: the memory cgroup is on, but %s does not have %s, so the next boot turns it off. Add it, or "
            "set kube_allow_reboot: true."
        )
        values = (host, _board(info)["cmdline_file"], WORDS[1])
        found.append(Finding("memory_cgroup.off_after_reboot", text % values, host, values[1], values[2]))
    return found
