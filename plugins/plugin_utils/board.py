# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small boards: the memory cgroup that a Raspberry Pi's kernel has switched off, and the card that everything is written to.

https://docs.k3s.io/installation/requirements#operating-systems (Raspberry Pi)
"""

from __future__ import annotations

from .catalog import K3S_PAGE, SLOW_DISKS

JOURNAL = "/etc/systemd/journald.conf.d/50-kubewright.conf"
WORDS = ["cgroup_memory=1", "cgroup_enable=memory"]


def off(info: dict) -> bool:
    """Whether the kernel has the memory cgroup switched off."""
    controllers = info["cgroup"].get("controllers")
    return bool(controllers) and "memory" not in controllers


def lacking(info: dict) -> dict:
    """What switches it on at the next boot, {file, words}; empty where nothing is to be done, or we do not know how."""
    path = (info.get("board") or {}).get("cmdline_file")
    return {"file": path, "words": list(WORDS)} if off(info) and path else {}


def steps(info: dict) -> dict:
    """The step of a node that must boot anew: {"reboot": [why]}."""
    wanted = lacking(info)
    return {"reboot": ["the kernel's memory cgroup is off until it boots with %s" % " ".join(wanted["words"])]} if wanted else {}


def problems(name: str, info: dict, may_reboot: bool) -> list:
    """Sentences on a memory cgroup that is off."""
    if not off(info):
        return []
    text = "%s: the kernel's memory cgroup is off, which the kubelet needs; " % name
    place, words = (info.get("board") or {}).get("cmdline_file"), " ".join(WORDS)
    if WORDS[1] in ((info.get("board") or {}).get("cmdline") or "").split():
        return [text + "it was booted with %s all the same: take another kernel (%s)" % (WORDS[1], K3S_PAGE)]
    if not place:
        return [text + "add %s to the kernel's command line and reboot (%s)" % (words, K3S_PAGE)]
    if may_reboot:
        return []
    way_out = "set kube_allow_reboot: true, and %s is added to %s and the node rebooted; or do it yourself (%s)"
    return [text + way_out % (words, place, K3S_PAGE)]


def warnings(name: str, info: dict, journald: str) -> list:
    """Sentences on what wears a card out. info: node_info's; disks without a kind say nothing."""
    kinds = {(disk or {}).get("kind") for disk in (info.get("disks") or {}).values()}
    if journald == "volatile" or not kinds & set(SLOW_DISKS):
        return []
    return ["%s: its journal is written to a card that wears out; kube_journald: volatile keeps it in memory" % name]
