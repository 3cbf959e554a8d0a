# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that few have at hand, by the files that public sources show of them, through the whole detection."""

from __future__ import annotations

import pathlib

import pytest
import yaml
from ansible_collections.kubewright.cluster.plugins.module_utils.detect import look as node
from ansible_collections.kubewright.cluster.plugins.plugin_utils.plan import choose_distribution as decision
from ansible_collections.kubewright.cluster.tests.unit.fixtures.recording import Files

MACHINES = sorted((pathlib.Path(__file__).parents[3] / "fixtures" / "machines").glob("*.yml"))


class Machine(Files):
    """A machine of the fixture's files; /bin/sh is a program of its userland's width."""

    def __init__(self, fixture):
        bits = fixture["uname"].get("bits", 64)
        program = b"\x7fELF" + bytes([2 if bits == 64 else 1]) + bytes(15)
        super().__init__(
            {"/bin/sh": program, **fixture["files"]},
            fixture.get("links"),
            fixture.get("commands"),
            fixture.get("devices"),
        )
        self.uname = {"pointer_bits": bits, "affinity": fixture["cpus"], **fixture["uname"]}

    def machine(self):
        fixed = {"hostname": "machine", "ticks": 100, "python": "3.11.2", "executable": "/usr/bin/python3"}
        return {**fixed, **self.uname}

    def _bytes(self, path, limit):
        # Paths beneath a link are those beneath its target.
        for link, target in self.links.items():
            if path.startswith(link + "/"):
                path = target + path[len(link) :]
        return super()._bytes(path, limit)


def at(facts, path):
    """A fact by its dotted path; keys that hold dots or slashes are the longest that fit."""
    for key in sorted(facts, key=len, reverse=True) if isinstance(facts, dict) else ():
        if path == key:
            return facts[key]
        if path.startswith(key + "."):
            return at(facts[key], path[len(key) + 1 :])
    raise KeyError(path)


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.stem)
def test_machine(path):
    fixture = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert fixture["sources"] and len(fixture["facts"]) >= 5
    facts = node.look(host=Machine(fixture))
    assert {key: at(facts, key) for key in fixture["facts"]} == fixture["facts"]


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.stem)
def test_every_machine_can_be_decided_on(path):
    """Whatever is unknown of it: a distribution with a reason, or a refusal that says why."""
    facts = node.look(host=Machine(yaml.safe_load(path.read_text(encoding="utf-8"))))
    shared = {"kube_distribution": "auto", "kube_needs": [], "kube_allow_small_nodes": False}
    found = decision.decide({"one": {"role": "control_plane", "info": facts}}, shared, ["one"])
    assert found.distribution in ("kubeadm", "k3s") and found.reasons
    small = facts["memory"]["usable_bytes"] is not None and facts["memory"]["usable_bytes"] < 1700 * 2**20
    narrow = facts["architecture"]["name"] == "arm"
    assert found.distribution == "k3s" or not (small or narrow)
