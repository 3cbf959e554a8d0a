# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_info run by other Pythons than the one that runs the tests: as a user's Ansible packs it, through standard input."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import roots
from lablib import hostcaps

# More than 32 bits count: of memory in bytes, of a disk in blocks, of time in seconds.
MEMORY = 5 * 2**30
DISK = 100 * 2**40
LATER = 2**32 + 10**6
CPUS = 2
SECONDS = 120


def node_info(interpreter: str, arguments: dict) -> dict:
    """What the module says of the machine that the interpreter is on."""
    command = ["ansible", "-i", "machine,", "machine", "-c", "ansible.builtin.local", "-m", "kubewright.cluster.node_info"]
    command += ["-a", json.dumps(arguments), "-e", json.dumps({"ansible_python_interpreter": interpreter})]
    environment = dict(os.environ, ANSIBLE_PIPELINING="1", ANSIBLE_NOCOLOR="1", ANSIBLE_CALLBACK_RESULT_FORMAT="json")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS, env=environment)
    assert done.returncode == 0 and done.stdout.startswith("machine | SUCCESS => {"), done.stdout + done.stderr
    return json.loads(done.stdout[done.stdout.index("{") :])["node"]


def inside(debian: str, given: Path, folder: Path, arguments: dict) -> dict:
    """What it says in a container of an architecture, by the Python of its root file system."""
    engine = hostcaps.Engine("podman")
    if not engine.program:
        raise FileNotFoundError("no podman: `apt-get install podman`")
    name = f"kubewright-{debian}-{os.getpid()}"
    words = [engine.program, *engine.global_arguments(), "run", "--rm", "--interactive", "--name", name, "--log-driver", "none"]
    # The host's network, to be compared with what the host says of it; privileged, as nodes in containers are.
    words += [*engine.limit_arguments(), "--privileged", "--network", "host", "--memory", str(MEMORY), "--cpus", str(CPUS)]
    words += ["--volume", f"{given}:{given}", "--tmpfs", f"/large:size={DISK}"]
    # O: what is written goes elsewhere, and the cache stays as it was made.
    words += ["--rootfs", f"{roots.path(debian)}:O", "/usr/bin/python3"]
    interpreter = folder / "python"
    interpreter.write_text("#!/bin/sh\nexec " + " ".join(words) + ' "$@"\n', encoding="utf-8")
    interpreter.chmod(0o755)
    try:
        return node_info(str(interpreter), arguments)
    finally:
        engine.run("rm", "--force", "--ignore", name, check=False)
