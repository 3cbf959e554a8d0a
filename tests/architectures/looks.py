# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run node_info with another Python than that of the tests, through Ansible with pipelining."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import roots
from lablib import hostcaps

# Values that need more than 32 bits: bytes of memory, blocks of a disk, seconds since 1970.
MEMORY = 5 * 2**30
DISK = 100 * 2**40
LATER = 2**32 + 10**6
CPUS = 2
SECONDS = 300


def node_info(interpreter: str, arguments: dict) -> dict:
    """Run the module with an interpreter and return its result."""
    command = [
        "ansible",
        "-i",
        "machine,",
        "machine",
        "-c",
        "ansible.builtin.local",
        "-m",
        "kubewright.cluster.node_info",
    ]
    command += ["-a", json.dumps(arguments), "-e", json.dumps({"ansible_python_interpreter": interpreter})]
    environment = dict(os.environ, ANSIBLE_PIPELINING="1", ANSIBLE_NOCOLOR="1", ANSIBLE_CALLBACK_RESULT_FORMAT="json")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS, env=environment)
    assert done.returncode == 0 and done.stdout.startswith("machine | SUCCESS => {"), done.stdout + done.stderr
    return json.loads(done.stdout[done.stdout.index("{") :])["node"]


def inside(debian: str, given: Path, folder: Path, arguments: dict) -> dict:
    """Run the module in a container of an architecture, with the Python of its root file system."""
    engine = hostcaps.Engine("podman")
    if not engine.program:
        raise FileNotFoundError("podman is missing: run `apt-get install podman`")
    name = f"kubewright-{debian}-{os.getpid()}"
    words = [
        engine.program,
        *engine.global_arguments(),
        "run",
        "--rm",
        "--interactive",
        "--name",
        name,
        "--log-driver",
        "none",
    ]
    # Host network, so that results can be compared with the host's; privileged, like container nodes.
    words += [
        *engine.limit_arguments(),
        "--privileged",
        "--network",
        "host",
        "--memory",
        str(MEMORY),
        "--cpus",
        str(CPUS),
    ]
    words += ["--volume", f"{given}:{given}", "--tmpfs", f"/large:size={DISK}"]
    # O: writes go to an overlay, so the cached root file system does not change.
    words += ["--rootfs", f"{roots.path(debian)}:O", "/usr/bin/python3"]
    interpreter = folder / "python"
    interpreter.write_text("#!/bin/sh\nexec " + " ".join(words) + ' "$@"\n', encoding="utf-8")
    interpreter.chmod(0o755)
    try:
        return node_info(str(interpreter), arguments)
    finally:
        engine.run("rm", "--force", "--ignore", name, check=False)
