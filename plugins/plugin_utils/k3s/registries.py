# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s's registries.yaml, made of the input kube_registries.

https://docs.k3s.io/installation/private-registry, https://docs.k3s.io/installation/registry-mirror
"""

from __future__ import annotations

import re
from typing import Any

from ..base.distribution import File, Inputs
from ..base.yaml_documents import dump
from ..machine import containerd

PATH = "/etc/rancher/k3s/registries.yaml"


def files(given: Inputs, embedded: bool = False) -> list[File]:
    """Return registries.yaml and the certificates that it names: [{path, content, mode, secret}].

    embedded: True if nodes share their images: those of the registries that are named, or of all if none is.
    """
    mirrors: dict[str, Any] = {}
    for name, mirror in sorted((given.get("mirrors") or ({"*": {}} if embedded else {})).items()):
        mirror = mirror or {}
        mirrors[name] = {"endpoint": list(mirror.get("endpoints") or mirror.get("endpoint") or [])}
        if mirror.get("rewrites"):
            mirrors[name]["rewrite"] = {_quoted(key): _quoted(value) for key, value in mirror["rewrites"].items()}
    configs: dict[str, Any] = {}
    found: list[File] = []
    for name, settings in sorted((given.get("configs") or {}).items()):
        configs[name], certificates = _config(name, settings)
        found += certificates
    made = {key: value for key, value in (("mirrors", mirrors), ("configs", configs)) if value}
    if made:
        text = "# Made by kubewright.cluster.\n" + dump(made)
        secret = any("auth" in config for config in configs.values())
        found.append({"path": PATH, "content": text, "mode": "0600", "secret": secret})
    return found


def _quoted(text: str) -> str:
    """Return a pattern or a replacement of a rewrite as K3s needs it.

    K3s copies it between the quotes of a TOML string (HostsTomlTemplate in pkg/agent/templates/templates.go), and
    containerd uses no file that is not TOML. Names of images have no backslash, so one that is doubled already stays.
    """
    return re.sub(r"\\+", r"\\\\", str(text)).replace('"', r"\"")


def _config(name: str, settings: Inputs) -> tuple[dict[str, Any], list[File]]:
    """Return a registry's login and TLS settings, and the files that these name."""
    names = {"username": "username", "password": "password", "token": "identity_token"}
    auth = {names[key]: settings[key] for key in names if settings.get(key)}
    tls: dict[str, Any] = {"insecure_skip_verify": True} if settings.get("insecure_skip_verify") else {}
    files: list[File] = []
    base = "/etc/rancher/k3s/registry-" + ("default" if name == "*" else name.replace(":", "_"))
    if settings.get("ca"):
        tls["ca_file"] = base + ".crt"
        content = settings["ca"].rstrip() + "\n"
        files.append({"path": base + ".crt", "content": content, "mode": "0644", "secret": False})
    if settings.get("certificate"):
        files += containerd.client_files(base + "-client", dict(settings))
        tls.update(cert_file=base + "-client.crt", key_file=base + "-client.key")
    return {key: value for key, value in (("auth", auth), ("tls", tls)) if value}, files
