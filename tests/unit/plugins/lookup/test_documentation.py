# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of a lookup lists every term that the playbooks and roles give it."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import yaml
from ansible_collections.kubewright.cluster.plugins.plugin_utils.inputs import schema

ROOT = Path(__file__).resolve().parents[4]
LOOKUPS = "ansible_collections.kubewright.cluster.plugins.lookup."
FILES = [*ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/*/*.yml")]


def choices(lookup):
    """Return the terms that the documentation of a lookup allows."""
    written = importlib.import_module(LOOKUPS + lookup).DOCUMENTATION
    return set(yaml.safe_load(written)["options"]["_terms"]["choices"])


def asked_for(lookup):
    """Return the terms that playbooks and roles give to a lookup."""
    calls = r"(?:lookup|query)\(\s*'kubewright\.cluster\.%s'((?:\s*,\s*'\w+')*)" % lookup
    texts = [text for path in FILES for text in re.findall(calls, path.read_text(encoding="utf-8"))]
    return {term for text in texts for term in re.findall(r"'(\w+)'", text)}


def test_stages():
    assert choices("cluster_hosts") == asked_for("cluster_hosts")


def test_playbooks_with_options():
    assert choices("run_options") == {"plan", "replace", *schema.RUN_ROLES}
    assert asked_for("run_options") <= choices("run_options")


def test_who_leaves():
    assert choices("leaving") == asked_for("leaving")
