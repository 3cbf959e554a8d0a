# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the archive that users install: its files, Galaxy, ansible-builder, and use without a clone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
# Files that users may have in a clone and that must never be in the archive.
PRIVATE = (
    "kubeconfig",
    "prod.kubeconfig",
    "inventory.yml",
    "inventory.kubeconfig",
    "hosts.ini",
    "vault.yml",
    ".vault_pass",
    "plan.json",
    "plan.html",
    "group_vars/all.yml",
    "host_vars/cp1.yml",
    "playbooks/group_vars/all.yml",
    "playbooks/kubeconfig",
    "docs/inventories/mine.yml",
    "docs/plan.json",
    "kubewright-support-20260101T000000Z.tar.gz",
)


def outside(path: Path) -> dict[str, str]:
    """Return an environment in which Ansible finds collections only below a path."""
    hidden = ("ANSIBLE_CONFIG", "PYTHONPATH")
    return {
        **{name: value for name, value in os.environ.items() if name not in hidden},
        "ANSIBLE_COLLECTIONS_PATH": str(path),
    }


def run(*command, **options) -> str:
    """Run a command and return its output. Fail the test if the command fails."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    """Build the archive from the files that git knows, with a user's private files added."""
    work = tmp_path_factory.mktemp("archive")
    source = work / "source"
    listed = subprocess.check_output(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT).decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    for name in PRIVATE:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("secret: hunter2\n")
    run("ansible-galaxy", "collection", "build", "--output-path", str(work), str(source))
    return next(work.glob("kubewright-cluster-*.tar.gz"))


@pytest.fixture(scope="module")
def installed(archive, tmp_path_factory) -> Path:
    """Install the archive without a network and return its directory."""
    target = tmp_path_factory.mktemp("installed")
    command = ("ansible-galaxy", "collection", "install", "--no-deps", "--offline", "-p", str(target), str(archive))
    run(*command, env=outside(target), cwd=target)
    return target / "ansible_collections" / "kubewright" / "cluster"


def test_it_has_no_private_and_no_unwanted_files(archive):
    with tarfile.open(archive) as tar:
        names = [member.name for member in tar if member.isfile()]
    assert not set(PRIVATE) & set(names)
    known = ("docs/", "meta/", "playbooks/", "plugins/", "roles/", "changelogs/")
    files = {"README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "MANIFEST.json", "FILES.json"}
    assert not [name for name in names if name not in files and not name.startswith(known)]


def test_it_has_all_plugins_roles_and_playbooks(installed):
    tracked = subprocess.check_output(["git", "ls-files", "plugins", "roles", "playbooks", "meta"], cwd=ROOT, text=True)
    assert not [name for name in tracked.split() if (ROOT / name).exists() and not (installed / name).exists()]


def test_links_lead_to_files_in_the_archive(installed):
    dead, pages = [], list(installed.rglob("*.md"))
    assert pages
    for page in pages:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            path = target.partition("#")[0]
            if path and "://" not in path and not (page.parent / path).exists():
                dead.append(f"{page.relative_to(installed)}: {target}")
    assert not dead


def test_a_link_leads_to_every_page():
    """Two pages once were there that no reader could find."""
    links = set()
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)\s#]+)", page.read_text(encoding="utf-8")):
            if (page.parent / target).resolve() != page:
                links.add((page.parent / target).resolve())
    assert not [str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.md") if page not in links]


def test_every_module_is_in_the_action_group(installed):
    runtime = yaml.safe_load((installed / "meta" / "runtime.yml").read_text())
    modules = {path.stem for path in (installed / "plugins" / "modules").glob("*.py")}
    assert set(runtime["action_groups"]["cluster"]) == modules


def test_galaxy_accepts_it(archive, tmp_path):
    config = tmp_path / "importer.cfg"
    # ansible-lint has its own stage.
    config.write_text("[galaxy-importer]\nrun_ansible_lint = False\n")
    output = run(
        *(sys.executable, "-m", "galaxy_importer.main", str(archive)),
        env={**os.environ, "GALAXY_IMPORTER_CONFIG": str(config)},
        cwd=tmp_path,
    )
    assert "Importer processing completed successfully" in output and "WARNING" not in output, output


def test_ansible_builder_accepts_it(archive, installed, tmp_path):
    shutil.copy(installed / "docs" / "execution-environment.yml", tmp_path)
    shutil.copy(archive, tmp_path)
    definition = tmp_path / "execution-environment.yml"
    run("ansible-builder", "create", "-f", str(definition), "-c", str(tmp_path / "context"), cwd=tmp_path)
    assert (tmp_path / "context" / "_build" / "archives" / archive.name).exists()
    output = run("ansible-builder", "introspect", str(installed.parents[2]))
    assert "jmespath" in output and "openssh-client" in output


def test_its_plan_runs_without_a_clone(installed, tmp_path):
    (tmp_path / "inventory.yml").write_text(
        "all: {children: {kube_control_plane: {hosts: {here: {ansible_connection: local, "
        "ansible_python_interpreter: '{{ ansible_playbook_python }}'}}}}}\n"
    )
    output = run(
        *("ansible-playbook", "kubewright.cluster.plan", "-i", "inventory.yml", "-e", "plan_json=plan.json"),
        env=outside(installed.parents[2]),
        cwd=tmp_path,
    )
    assert "here" in output
