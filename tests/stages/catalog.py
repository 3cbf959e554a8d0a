# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which stages there are."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from .stage import ROOT, WORK, Stage

COPIES = WORK / "copy"
COPY = COPIES / "ansible_collections" / "kubewright" / "cluster"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
# The shortest first, so that what is broken is seen early.
SCENARIOS = (
    "node",
    "containerd",
    "kubeadm-single",
    "k3s-single",
    "k3s-script",
    "k3s-airgap",
    "k3s-external-db",
    "kubeadm-vip",
    "k3s-ha",
    "kubeadm-ha",
    "k3s-vm",
    "kubeadm-vm",
)


def make_copy() -> None:
    """What git has of the working tree, at a path that ansible-test accepts. Only what changed is copied."""
    listed = subprocess.check_output(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT).decode()
    wanted = [name for name in listed.split("\0") if name and os.path.lexists(ROOT / name)]
    COPY.mkdir(parents=True, exist_ok=True)
    for path in sorted(COPY.rglob("*"), reverse=True):
        name = str(path.relative_to(COPY))
        if path.is_file() and name not in wanted and not name.startswith("tests/output/"):
            path.unlink()
    for name in wanted:
        source, target = ROOT / name, COPY / name
        if not target.exists() or source.stat().st_mtime_ns != target.stat().st_mtime_ns:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


PIP = """import subprocess, sys
subprocess.check_call([sys.executable, "-m", "ensurepip"])
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", "-q", "pip==%s", "setuptools", "wheel"]))
"""


def bootstrap_pip() -> None:
    """ansible-test begins its environments with a script from a site of its own; PyPI has that pip too, and is enough."""
    package = importlib.util.find_spec("ansible_test").submodule_search_locations[0]
    source = Path(package, "_internal", "python_requirements.py").read_text(encoding="utf-8")
    for version in set(re.findall(r"pip='([0-9.]+)'", source)):
        script = Path.home() / ".ansible/test/cache" / f"get_pip_{version.replace('.', '_')}.py"
        if not script.exists():
            script.parent.mkdir(parents=True, exist_ok=True)
            script.write_text(PIP % version, encoding="utf-8")


def lint() -> list[Stage]:
    """What needs no cluster and little time."""
    python = sys.executable
    return [
        Stage("lint:ruff", ["ruff", "check", "."]),
        Stage("lint:yaml", ["yamllint", "--strict", "."]),
        Stage("lint:mypy", ["mypy"]),
        Stage("lint:licences", ["reuse", "lint", "--quiet"]),
        Stage("lint:reference", [python, "docs/generate.py", "--check"]),
        Stage("lint:docs", ["antsibull-docs", "lint-collection-docs", "--plugin-docs", "."]),
        Stage("lint:changelog", ["antsibull-changelog", "lint"]),
        Stage("lint:archive", ["pytest", "-p", "no:cacheprovider", "tests/packaging"]),
        Stage("lint:ansible", ["ansible-lint", "--strict", "--offline"]),
    ]


def clusters() -> list[Stage]:
    """The lab, and what runs on it."""
    lab = [
        Stage("lab:build", ["tests/lab/lab", "build"], lane="lab"),
        Stage("lab:up", ["tests/lab/lab", "up"], needs=("lab:build",), lane="lab"),
    ]
    local = Stage("local", ["pytest", "-p", "no:cacheprovider", "tests/lab/nodes"], needs=("lab:up",), lane="clusters")
    scenarios = [name for name in SCENARIOS if (ROOT / "molecule" / name / "molecule.yml").exists()]
    return [
        *lab,
        local,
        *(
            Stage(f"molecule:{name}", ["molecule", "test", "-s", name], needs=("lab:up",), lane="clusters")
            for name in scenarios
        ),
        Stage("controller", ["tests/controller.sh"], needs=("lab:up",), lane="clusters"),
    ]


def everything() -> list[Stage]:
    """All stages, in order."""
    inside = {"ANSIBLE_COLLECTIONS_PATH": str(COPIES)}
    return [
        *lint(),
        Stage("units", ["ansible-test", "units", "--python", PYTHON], directory=COPY, extra=inside),
        Stage("sanity", ["ansible-test", "sanity", "--python", PYTHON], directory=COPY, extra=inside),
        Stage("page", ["pytest", "-p", "no:cacheprovider", "tests/page"]),
        Stage("architectures", ["pytest", "-p", "no:cacheprovider", "tests/architectures"]),
        *clusters(),
    ]


def chosen(stages: list[Stage], words: list[str]) -> list[Stage]:
    """Those whose name is given, or begins with a given word (`lint`, `molecule:kubeadm-ha`); clusters bring the lab with them."""
    if not words:
        return stages
    known = {stage.name for stage in stages} | {stage.name.split(":")[0] for stage in stages}
    unknown = [word for word in words if word not in known]
    if unknown:
        raise SystemExit(f"no such stage: {', '.join(unknown)}. There are: {', '.join(sorted(known))}")
    picked = [stage for stage in stages if stage.name in words or stage.name.split(":")[0] in words]
    lab = any(stage.needs for stage in picked)
    return [stage for stage in stages if stage in picked or (lab and stage.lane == "lab")]
