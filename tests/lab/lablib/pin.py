# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`lab pin`: write go.mod and go.sum of a component's version, using the Go module proxy."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from . import catalog
from .catalog import LabError
from .components import COMPONENTS

GO_VERSION = "1.26.0"
CONSTANTS = {"etcd_image": "DefaultEtcdVersion", "coredns": "CoreDNSVersion", "pause": "PauseVersion"}


def go_environment(**more):
    """Return the environment for Go, without user settings that would change the build."""
    return dict(os.environ, GOFLAGS="-buildvcs=false", GOWORK="off", **more)


def staging(text):
    """Return the modules that the go.mod of Kubernetes replaces with directories of its source tree."""
    return sorted(set(re.findall(r"^\s*(k8s\.io/\S+) => \./staging/", text, re.MULTILINE)))


def go_mod(component, version, replaced=()):
    """Return the text of a go.mod before `go mod tidy` completes it."""
    lines = [f"module kubewright.cluster/lab/{component.name}", "", f"go {GO_VERSION}", ""]
    lines += [f"require {module} v{version}" for module in component.modules]
    lines += ["", "tool (", *(f"\t{package}" for package in sorted(component.programs.values())), ")"]
    if replaced:
        library = "v0." + version.split(".", 1)[1]
        lines += ["", "replace (", *(f"\t{module} => {module} {library}" for module in replaced), ")"]
    return "\n".join(lines) + "\n"


def named_versions(constants):
    """Return the versions of etcd, CoreDNS and pause that kubeadm uses, from the text of its constants."""
    found = {}
    for key, name in CONSTANTS.items():
        match = re.search(rf'\b{name}\s*=\s*"v?([^"]+)"', constants)
        if not match:
            raise LabError(f"kubeadm's constants have no {name} any more: find its new name and change lablib/pin.py.")
        found[key] = match[1]
    return {"etcd": found["etcd_image"].split("-")[0], **found}


def download(module, version):
    """Download a module and return what Go reports about it (Dir, GoMod, ...)."""
    command = ["go", "mod", "download", "-json", f"{module}@v{version}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=go_environment(), cwd="/")
    facts = json.loads(done.stdout or "{}")
    if done.returncode or "Error" in facts:
        raise LabError(f"{module} v{version}: {facts.get('Error') or done.stderr.strip()}")
    return facts


def pin(name, version):
    """Write go/<name>-<version>/. Return the versions that kubeadm uses if `name` is kubernetes, otherwise None."""
    component = COMPONENTS.get(name)
    if component is None:
        raise LabError(f"Unknown component {name}. Known: {', '.join(COMPONENTS)}.")
    replaced, named = (), None
    if name == "kubernetes":
        facts = download("k8s.io/kubernetes", version)
        replaced = staging(Path(facts["GoMod"]).read_text(encoding="utf-8"))
        constants = Path(facts["Dir"], "cmd/kubeadm/app/constants/constants.go")
        named = named_versions(constants.read_text(encoding="utf-8"))
    folder = catalog.MODULES / f"{name}-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "go.mod").write_text(go_mod(component, version, replaced), encoding="utf-8")
    done = subprocess.run(
        ["go", "mod", "tidy"], cwd=folder, env=go_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise LabError(f"go mod tidy in {folder} failed:\n{done.stderr[-3000:]}")
    return named


def add(name, version):
    """Pin a version and add it to the table. For Kubernetes, also pin the etcd and CoreDNS that its kubeadm uses."""
    table = catalog.versions()
    named = pin(name, version)
    print(f"pinned {name} {version}", flush=True)
    if named:
        table["kubernetes"][version] = named
        for other in ("etcd", "coredns"):
            if not (catalog.MODULES / f"{other}-{named[other]}").is_dir():
                pin(other, named[other])
                print(f"pinned {other} {named[other]}, which kubeadm {version} uses", flush=True)
    elif name in table:
        table[name] = version
    catalog.VERSIONS.write_text(dump(table), encoding="utf-8")


def dump(table):
    """Return the table as it is committed: one line for each version."""
    rows = sorted(table["kubernetes"].items(), key=lambda item: catalog.number(item[0]))
    inner = ",\n".join(f"    {json.dumps(version)}: {json.dumps(row)}" for version, row in rows)
    rest = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in table.items() if key != "kubernetes"]
    return "{\n" + ",\n".join(['  "kubernetes": {\n' + inner + "\n  }", *rest]) + "\n}\n"
