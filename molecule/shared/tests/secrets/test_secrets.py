# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests that other users cannot read secrets."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

testinfra_hosts = ["ansible://all"]
SEARCH = base64.b64encode(Path(__file__).with_name("secret_search.py").read_bytes()).decode()


def search(host, *arguments):
    return host.run(f"echo {SEARCH} | base64 -d | python3 - {' '.join(arguments)}")


def test_no_secret_on_the_node(host):
    done = search(host)
    assert done.rc == 0, done.stderr
    assert done.stdout == "", done.stdout


def test_no_secret_in_the_output_of_ansible(host):
    log = os.environ.get("KUBEWRIGHT_STAGE_LOG")
    if not log:
        pytest.skip("needs the log of ./test.sh")
    printed = Path(log).read_bytes()
    lines = search(host, "--reveal").stdout.splitlines()
    known = [base64.b64decode(line.split()[1]) for line in lines if line.startswith("secret ")]
    assert known
    assert not [number for number, secret in enumerate(known) if secret in printed]
