# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a node gets K3s: the release's binary, upstream's script, the archive of images, or an existing binary.

https://docs.k3s.io/installation/configuration, https://docs.k3s.io/installation/airgap
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ..base.distribution import Cluster, Inputs, Node, Nodes
from ..base.findings import Finding
from . import config

BINARY = "/usr/local/bin/k3s"
SCRIPT, SCRIPT_COMPONENT = "/etc/kubewright/k3s-install.sh", "k3s-script"
# Names of the releases' files: https://github.com/k3s-io/k3s/releases
# Machines of other architectures are refused: distribution_rules.py.
_FILES = {"amd64": "k3s", "arm64": "k3s-arm64", "arm": "k3s-armhf"}
# Links to K3s, which acts as these commands, if the node does not have them. Upstream's script does the same.
LINKS = ["kubectl", "crictl", "ctr"]


def programs(node: Node, cluster: Cluster) -> list[dict[str, Any]]:
    """Return what a node needs of a release, as items for the module artifacts.

    node: info, inputs. cluster: release ("v1.36.3+k3s1"), shared (the cluster's inputs).
    """
    values, architecture = node["inputs"], node["info"]["architecture"]["name"]
    named, checksums = cluster["release"], values["kube_artifacts"]["checksums"]
    base = "https://github.com/k3s-io/k3s/releases/download/%s/" % quote(named, safe="")
    sums = base + "sha256sum-%s.txt" % architecture
    found: list[dict[str, Any]] = []
    item: dict[str, Any]
    if values["k3s_install_method"] != "existing":
        item = {"component": "k3s", "url": base + _FILES.get(architecture, "k3s"), "version": named, "dest": BINARY}
        found.append(_checked(item, sums, checksums))
        if values["k3s_install_method"] == "binary":
            found[0]["links"] = LINKS
    if values["k3s_install_method"] == "script":
        item = {"component": SCRIPT_COMPONENT, "url": _script_url(values, named), "version": named, "dest": SCRIPT}
        found.append({**item, "mode": "0700", "checksum": _digest(values["k3s_install_script"]["checksum"])})
    if archived(values, cluster["shared"]["kube_needs"]):
        name = "k3s-airgap-images-%s.tar.zst" % architecture
        path = "%s/agent/images/%s" % (config.data_dir(values), name)
        item = {"component": "k3s-images", "url": base + name, "version": named, "dest": path, "mode": "0644"}
        found.append(_checked(item, sums, checksums))
    return found


def beside(item: Mapping[str, Any], directory: str) -> dict[str, Any]:
    """Return an item of programs() that is put beside the installed one, in a folder of its release."""
    name = item["dest"].rsplit("/", 1)[-1]
    kept = {key: value for key, value in item.items() if key != "links"}
    return {**kept, "dest": "%s/%s/%s" % (directory, item["version"].lstrip("v"), name)}


def present(nodes: Nodes) -> str:
    """Return the version of the existing binaries to use, as "1.36.3+k3s1"; empty if there is none or they differ."""
    found = {
        str(((node["info"].get("installed") or {}).get("k3s") or {}).get("version") or "").lstrip("v")
        for node in nodes.values()
        if node["inputs"]["k3s_install_method"] == "existing"
    }
    return found.pop() if len(found) == 1 else ""


def archived(values: Inputs, needs: Sequence[str]) -> bool:
    """Return True if a node gets K3s's images as an archive, and pulls none of them."""
    return bool(values["k3s_images"] == "archive" or values["k3s_images"] == "auto" and "air_gap" in needs)


def script(node: Node, unit_path: str, environment: str) -> dict[str, Any]:
    """Return the install script {path, makes, perhaps}; {} if none is run.

    makes: files that it always writes. perhaps: files that it writes if they do not exist.
    unit_path, environment: the files of the service that it creates.
    """
    if node["inputs"]["k3s_install_method"] != "script":
        return {}
    service = unit_path.rsplit("/", 1)[-1].removesuffix(".service")
    helpers = ["/usr/local/bin/k3s-killall.sh", "/usr/local/bin/%s-uninstall.sh" % service]
    links = ["/usr/local/bin/" + name for name in LINKS]
    return {"path": SCRIPT, "makes": [unit_path, *helpers], "perhaps": [environment, *links]}


def wrong_script(wanted: Mapping[str, Any], wrong: Mapping[str, str], facts: Mapping[str, Any]) -> list[str]:
    """Return why the script must run. wanted: script(). wrong: sentences on programs, by name."""
    if not wanted:
        return []
    missing = [path for path in wanted["makes"] if not (facts.get("files") or {}).get(path)]
    name = wanted["path"].rsplit("/", 1)[-1]
    return [wrong[name]] if name in wrong else ["%s is missing" % path for path in missing]


def problems(host: str, node: Node, release: str) -> list[Finding]:
    """Check the inputs that say how a node gets K3s, and the binary that exists there."""
    values = node["inputs"]
    method, binary = values["k3s_install_method"], values["k3s_binary"]
    found = _check_script(values, method, release)
    if method == "existing":
        return found + _check_existing(host, node["info"], binary, release)
    if binary != BINARY:
        text = "k3s_binary %s: it needs k3s_install_method existing, and other methods install %s. Remove k3s_binary."
        found.append(Finding("k3s_binary.unused", text % (binary, BINARY), value=binary, limit=BINARY))
    return found


def _check_script(values: Inputs, method: str, release: str) -> list[Finding]:
    """Check the inputs for upstream's script."""
    url, checksum = values["k3s_install_script"]["url"], values["k3s_install_script"]["checksum"]
    found = []
    if method == "script" and not checksum:
        text = (
            "k3s_install_method script needs k3s_install_script.checksum. "
            "Read the script, then set its SHA-256 digest: curl -sL %s | sha256sum"
        )
        found.append(Finding("k3s_install_script.no_checksum", text % _script_url(values, release)))
    if method != "script" and (checksum or url):
        text = "k3s_install_script has no effect with k3s_install_method %s. Remove it, or set the method to script."
        found.append(Finding("k3s_install_script.unused", text % method, value=method, limit="script"))
    return found


def _check_existing(host: str, info: Mapping[str, Any], path: str, release: str) -> list[Finding]:
    """Check that the existing binary is where the inputs say, in the wanted version."""
    known = (info.get("installed") or {}).get("k3s") or {}
    elsewhere, version = known.get("path"), known.get("version")
    if elsewhere != path:
        hint = "It is at %s: set k3s_binary." % elsewhere if elsewhere else "Install it, or change k3s_install_method."
        text = "%s: k3s_install_method existing needs %s, which does not exist. %s"
        return [Finding("k3s_binary.missing", text % (host, path, hint), host, elsewhere, path)]
    if not version:
        text = "%s: the version of %s is unknown, the plan needs K3s %s. Replace it with that version."
        return [Finding("k3s_binary.unknown_version", text % (host, path, release), host, None, release)]
    if version != release:
        text = "%s: %s is K3s %s, the plan needs %s. Set kube_version: %s, or replace the binary."
        values = (host, path, version, release, version.lstrip("v"))
        return [Finding("k3s_binary.other_version", text % values, host, version, release)]
    return []


def _script_url(values: Inputs, release: str) -> str:
    default = "https://raw.githubusercontent.com/k3s-io/k3s/%s/install.sh" % quote(release, safe="")
    return values["k3s_install_script"]["url"] or default


def _digest(text: str | None) -> str:
    return "sha256:" + str(text or "").replace("sha256:", "").lower()


def _checked(item: Mapping[str, Any], sums: str, checksums: Mapping[str, str]) -> dict[str, Any]:
    """Return the item with the digest that was pinned for it, or with the address of upstream's list of digests."""
    pinned = checksums.get(item["url"])
    return {**item, "checksum": _digest(pinned)} if pinned else {**item, "checksum_url": sums}
