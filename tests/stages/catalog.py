# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All stages, and which of them run by default."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from .stage import CACHE, ROOT, WORK, Stage

COPIES = WORK / "copy"
COPY = COPIES / "ansible_collections" / "kubewright" / "cluster"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
# ansible-test keeps its virtual environments and its copy of pip's installer in the home directory.
HOME = CACHE / "ansible-test"
# Scenarios that CI runs, the fastest first, and scenarios that only `./test.sh all` runs.
SCENARIOS = ("roles", "kubeadm-single", "k3s-single", "kubeadm-vip", "k3s-ha", "kubeadm-ha")
MORE_SCENARIOS = (
    "k3s-script",
    "k3s-airgap",
    "k3s-external-db",
    "kubeadm-replace",
    "k3s-replace",
    "kubeadm-upgrade",
    "k3s-upgrade",
    "k3s-vm",
    "kubeadm-vm",
    "kubeadm-restore",
    "k3s-restore",
    "k3s-restore-ha",
    "kubeadm-dual",
    "kubeadm-ipv6",
    "kubeadm-losses",
    "k3s-losses",
)
# An upgrade over several minor releases. The releases before those of the other scenarios are built only for it.
PATH_SCENARIO = "kubeadm-upgrade-path"
OLDER = "tests/lab/lab build --kubernetes 1.34 --kubernetes 1.35 && tests/lab/lab up"


def make_copy() -> None:
    """Copy the files that git knows of to a path that ansible-test accepts; skip files that did not change."""
    listed = subprocess.check_output(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT).decode()
    wanted = {name for name in listed.split("\0") if name and os.path.lexists(ROOT / name)}
    COPY.mkdir(parents=True, exist_ok=True)
    for path in sorted(COPY.rglob("*"), reverse=True):
        name = str(path.relative_to(COPY))
        if path.is_file() and name not in wanted and not name.startswith("tests/output/"):
            path.unlink()
    for name in sorted(wanted):
        source, target = ROOT / name, COPY / name
        if not target.exists() or source.stat().st_mtime_ns != target.stat().st_mtime_ns:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


PIP = """import subprocess, sys
subprocess.check_call([sys.executable, "-m", "ensurepip"])
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", "-q", "pip==%s", "setuptools", "wheel"]))
"""


def bootstrap_pip() -> None:
    """Write an installer that gets pip from PyPI, so that ansible-test does not download one from its own site."""
    package = importlib.util.find_spec("ansible_test").submodule_search_locations[0]
    source = Path(package, "_internal", "python_requirements.py").read_text(encoding="utf-8")
    for version in set(re.findall(r"pip='([0-9.]+)'", source)):
        script = HOME / ".ansible/test/cache" / f"get_pip_{version.replace('.', '_')}.py"
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(PIP % version, encoding="utf-8")


def pytest(name: str, directory: str, **options) -> Stage:
    """Return a stage that runs the tests below a directory."""
    return Stage(name, ["pytest", directory], **options)


def lint() -> list[Stage]:
    """Return the linters and other quick stages."""
    python = sys.executable
    return [
        Stage("lint:ruff", ["ruff", "check", "."]),
        Stage("lint:yaml", ["yamllint", "--strict", "."]),
        Stage("lint:mypy", ["mypy"]),
        Stage("lint:licences", ["reuse", "lint", "--quiet"]),
        Stage("lint:workflows", ["go", "run", ACTIONLINT, "-shellcheck="]),
        Stage("lint:reference", [python, "docs/generate.py", "--check"]),
        Stage("lint:docs", ["antsibull-docs", "lint-collection-docs", "--plugin-docs", "."]),
        Stage("lint:changelog", ["antsibull-changelog", "lint"]),
        pytest("lint:archive", "tests/packaging"),
        Stage("lint:ansible", ["ansible-lint", "--strict", "--offline"]),
    ]


def ansible_test() -> list[Stage]:
    """Return the stages that run ansible-test with this machine's Python."""
    inside = {"ANSIBLE_COLLECTIONS_PATH": str(COPIES), "HOME": str(HOME)}
    return [
        Stage("units", ["ansible-test", "units", "--python", PYTHON], directory=COPY, extra=inside),
        Stage("sanity", ["ansible-test", "sanity", "--python", PYTHON], directory=COPY, extra=inside),
    ]


def clusters() -> list[Stage]:
    """Return the stages of the lab and everything that needs it."""

    def on_the_lab(name: str, command: list[str], by_default: bool = True, needs: str = "lab:up") -> Stage:
        return Stage(name, command, needs=(needs,), lane="clusters", by_default=by_default)

    def molecule(name: str, by_default: bool = True, **options) -> Stage:
        return on_the_lab(f"molecule:{name}", ["tests/scenario.sh", name], by_default, **options)

    return [
        Stage("lab:build", ["tests/lab/lab", "build"], lane="lab"),
        Stage("lab:up", ["tests/lab/lab", "up"], needs=("lab:build",), lane="lab"),
        pytest("programs", "tests/lab/programs", needs=("lab:build",), lane="clusters"),
        pytest("datastore", "tests/lab/datastore", needs=("lab:build",), lane="clusters"),
        pytest("destinations", "tests/lab/destinations", needs=("lab:build",), lane="clusters"),
        pytest("local", "tests/lab/nodes", needs=("lab:up",), lane="clusters"),
        *(molecule(name) for name in SCENARIOS),
        *(molecule(name, by_default=False) for name in MORE_SCENARIOS),
        on_the_lab("sanity:2.20", ["tests/sanity.sh", "2.20"], by_default=False),
        on_the_lab("sanity:2.21", ["tests/sanity.sh", "2.21"], by_default=False),
        on_the_lab("controller", ["tests/controller.sh"], by_default=False),
        on_the_lab("lab-older", ["bash", "-c", OLDER], by_default=False),
        molecule(PATH_SCENARIO, by_default=False, needs="lab-older"),
    ]


def everything() -> list[Stage]:
    """Return all stages in the order in which they run."""
    return [
        *lint(),
        *ansible_test(),
        pytest("page", "tests/page", by_default=False),
        pytest("architectures", "tests/architectures", by_default=False),
        pytest("databases", "tests/databases", by_default=False),
        *clusters(),
    ]


def chosen(stages: list[Stage], words: list[str]) -> list[Stage]:
    """Return the stages with the given names or first parts of names (`lint`, `molecule`), or the default stages.

    Stages that they need are added.
    """
    if not words:
        return [stage for stage in stages if stage.by_default]
    if "all" in words:
        return stages
    known = {stage.name for stage in stages} | {stage.name.split(":")[0] for stage in stages}
    unknown = [word for word in words if word not in known]
    if unknown:
        raise SystemExit(f"Unknown stage: {', '.join(unknown)}. Known: all, {', '.join(sorted(known))}.")
    picked = {stage.name for stage in stages if stage.name in words or stage.name.split(":")[0] in words}
    for stage in reversed(stages):
        if stage.name in picked:
            picked.update(stage.needs)
    return [stage for stage in stages if stage.name in picked]
