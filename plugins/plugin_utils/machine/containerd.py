# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""containerd's configuration (version 3, containerd 2) and the registries' hosts.toml.

https://github.com/containerd/containerd/blob/main/docs/cri/config.md and docs/hosts.md
"""

from __future__ import annotations

import base64
import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..base.distribution import File
from ..base.findings import Finding
from ..base.reference import CNI_TEMPLATE
from . import proxy

HEADER = "# Made by kubewright.cluster. Drop-ins belong in /etc/containerd/conf.d.\n"
CERTS = "/etc/containerd/certs.d"
ENVIRONMENT = "/etc/kubewright/containerd.env"
# The input kube_registries.
Registries = Mapping[str, Any]


def config(node: Mapping[str, Any], driver: str, pause: str, data_dir: str, with_template: bool) -> str:
    """Return the text of /etc/containerd/config.toml for one node.

    node: its facts. driver: the cgroup driver. pause: the sandbox image. data_dir: root of images and state.
    with_template: True if containerd writes the CNI configuration itself, with the node's pod network, from
    CNI_TEMPLATE.
    """
    runtime = "plugins.'io.containerd.cri.v1.runtime'"
    lines = [
        HEADER + "version = 3",
        "root = %s" % json.dumps(data_dir),
        "imports = ['/etc/containerd/conf.d/*.toml']",
        "",
        "[plugins.'io.containerd.cri.v1.images'.pinned_images]",
        "  sandbox = %s" % json.dumps(pause),
        "[plugins.'io.containerd.cri.v1.images'.registry]",
        "  config_path = %s" % json.dumps(CERTS),
        "[%s]" % runtime,
        # A container may not raise its processes' OOM score above what it was given itself.
        "  restrict_oom_score_adj = %s" % ("true" if (node.get("virtualization") or {}).get("container") else "false"),
        "[%s.containerd.runtimes.runc]" % runtime,
        "  runtime_type = 'io.containerd.runc.v2'",
        "[%s.containerd.runtimes.runc.options]" % runtime,
        "  SystemdCgroup = %s" % ("true" if driver == "systemd" else "false"),
        "[%s.cni]" % runtime,
        "  bin_dirs = ['/opt/cni/bin']",
        "  conf_dir = '/etc/cni/net.d'",
    ]
    if with_template:
        lines.append("  conf_template = %s" % json.dumps(CNI_TEMPLATE))
    return "\n".join(lines) + "\n"


def hosts(registries: Registries) -> list[File]:
    """Return the files under certs.d for the input kube_registries: [{path, content, mode, secret}].

    Files with credentials have mode 0600. containerd reads them at each pull: no restart.
    """
    mirrors, configs = registries.get("mirrors") or {}, registries.get("configs") or {}
    files: list[File] = []
    for registry in sorted(set(mirrors) | set(configs)):
        mirror = mirrors.get(registry) or {}
        endpoints = list(mirror.get("endpoints") or mirror.get("endpoint") or [])
        lines = ["# Made by kubewright.cluster."]
        if registry != "*":
            lines.append("server = %s" % json.dumps(_server(registry)))
        secret = False
        for endpoint in endpoints + ([_server(registry)] if registry in configs and registry != "*" else []):
            settings = configs.get(_name(endpoint)) or configs.get("*") or {}
            block, has_secret = _host(endpoint, settings, mirror, files)
            lines += block
            secret = secret or has_secret
        name = "_default" if registry == "*" else registry
        files.append(
            {
                "path": "%s/%s/hosts.toml" % (CERTS, name),
                "content": "\n".join(lines) + "\n",
                "mode": "0600" if secret else "0644",
                "secret": secret,
            }
        )
    return files


def secret_files(registries: Registries, http_proxy: Mapping[str, Any], no_proxy: Sequence[str]) -> list[File]:
    """Return the files that have, or may have, credentials: hosts.toml with a login, and containerd's environment with
    the proxy.

    http_proxy: the input kube_http_proxy. no_proxy: networks and names of the cluster, never reached through the proxy.
    """
    files = [entry for entry in hosts(registries) if entry["secret"]]
    settings = proxy.environment(http_proxy, no_proxy)
    if settings:
        content = HEADER.splitlines()[0] + "\n" + "".join("%s=%s\n" % pair for pair in settings.items())
        files.append({"path": ENVIRONMENT, "content": content, "mode": "0600", "secret": True})
    return files


def _host(
    endpoint: str, settings: Mapping[str, Any], mirror: Mapping[str, Any], files: list[File]
) -> tuple[list[str], bool]:
    """Return (lines of hosts.toml for one endpoint, True if they have a login). Certificates are added to the files."""
    url = endpoint if "://" in endpoint else "https://" + endpoint
    lines = ["", "[host.%s]" % json.dumps(url), "  capabilities = ['pull', 'resolve']"]
    if mirror.get("override_path"):
        lines.append("  override_path = true")
    if settings.get("insecure_skip_verify"):
        lines.append("  skip_verify = true")
    if settings.get("ca"):
        path = "%s/%s.crt" % (CERTS, _name(endpoint).replace(":", "_"))
        if path not in [entry["path"] for entry in files]:
            files.append({"path": path, "content": settings["ca"].rstrip() + "\n", "mode": "0644", "secret": False})
        lines.append("  ca = %s" % json.dumps(path))
    if settings.get("certificate"):
        base = "%s/%s-client" % (CERTS, _name(endpoint).replace(":", "_"))
        files += [
            entry for entry in client_files(base, settings) if entry["path"] not in [known["path"] for known in files]
        ]
        lines.append("  client = %s" % json.dumps([[base + ".crt", base + ".key"]]))
    header = _authorization(settings)
    if header:
        lines += ["  [host.%s.header]" % json.dumps(url), "    Authorization = %s" % json.dumps(header)]
    return lines, bool(header)


def _authorization(settings: Mapping[str, Any]) -> str:
    if settings.get("username"):
        pair = "%s:%s" % (settings["username"], settings.get("password") or "")
        return "Basic " + base64.b64encode(pair.encode()).decode()
    return "Bearer %s" % settings["token"] if settings.get("token") else ""


def _server(registry: str) -> str:
    return "https://registry-1.docker.io" if registry == "docker.io" else "https://" + registry


def _name(endpoint: str) -> str:
    """Return the host and port of an endpoint's URL."""
    name = endpoint.split("://", 1)[-1].split("/", 1)[0]
    return "docker.io" if name == "registry-1.docker.io" else name


def client_files(base: str, settings: Mapping[str, Any]) -> list[File]:
    """Return the files of a client's certificate and key, base.crt and base.key: [{path, content, mode, secret}]."""
    return [
        {"path": base + ".crt", "content": settings["certificate"].rstrip() + "\n", "mode": "0644", "secret": False},
        {"path": base + ".key", "content": settings["key"].rstrip() + "\n", "mode": "0600", "secret": True},
    ]


MIRROR_KEYS = ("endpoint", "endpoints", "override_path", "rewrites")
CONFIG_KEYS = ("ca", "certificate", "insecure_skip_verify", "key", "password", "token", "username")


def refusals(registries: Registries, rewrites: bool = False, embedded: bool = False) -> list[Finding]:
    """Check kube_registries.

    rewrites: True if mirrors may have `rewrites`. embedded: True if nodes share images, which needs no endpoint.
    """
    found = []
    for registry, mirror in (registries.get("mirrors") or {}).items():
        where = "kube_registries.mirrors[%s]" % registry
        if mirror is not None and not isinstance(mirror, Mapping):
            text = "%s: expected a map. Give it endpoints, a list of URLs."
            found.append(Finding("registries.not_a_map", text % where, value=where))
            continue
        found += _unknown(where, mirror or {}, MIRROR_KEYS) + _mirror(where, mirror or {}, rewrites, embedded)
    for host, settings in (registries.get("configs") or {}).items():
        where = "kube_registries.configs[%s]" % host
        if not isinstance(settings, Mapping):
            text = "%s: expected a map with %s."
            found.append(Finding("registries.not_a_map", text % (where, ", ".join(CONFIG_KEYS)), value=where))
            continue
        found += _unknown(where, settings, CONFIG_KEYS) + _config(where, settings)
    return found


def _config(where: str, settings: Mapping[str, Any]) -> list[Finding]:
    found = []
    if settings.get("password") and not settings.get("username"):
        found.append(
            Finding(
                "registries.no_username", "%s: has a password and no username. Add the username." % where, value=where
            )
        )
    if bool(settings.get("certificate")) != bool(settings.get("key")):
        text = "%s: has only one of certificate and key. Set both, or neither."
        found.append(Finding("registries.half_certificate", text % where, value=where))
    text = "%s.%s: expected PEM text. Give the content of the file, not its path."
    for name in ("ca", "certificate", "key"):
        if settings.get(name) and "-----BEGIN " not in str(settings[name]):
            found.append(Finding("registries.not_pem", text % (where, name), value="%s.%s" % (where, name)))
    return found


def _unknown(where: str, given: Mapping[str, Any], known: Sequence[str]) -> list[Finding]:
    found = []
    for name in sorted(set(given) - set(known), key=str):
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = "did you mean %s?" % near[0] if near else "known keys: " + ", ".join(known)
        found.append(
            Finding("inputs.unknown", "%s has no key %s; %s" % (where, name, hint), value="%s.%s" % (where, name))
        )
    return found


def _mirror(where: str, mirror: Mapping[str, Any], rewrites: bool, embedded: bool) -> list[Finding]:
    endpoints = mirror.get("endpoints") or mirror.get("endpoint")
    if not endpoints and not embedded or endpoints and not isinstance(endpoints, (list, tuple)):
        return [Finding("registries.no_endpoints", "%s: has no endpoints. Give a list of URLs." % where, value=where)]
    text = "%s: %s is not a URL. Write it as https://mirror.example."
    found = [
        Finding("registries.not_a_url", text % (where, item), value=item)
        for item in endpoints or []
        if "://" not in str(item)
    ]
    if mirror.get("rewrites") and not rewrites:
        text = "%s.rewrites: containerd cannot rewrite names, only K3s can. Remove it, or use an endpoint with a path."
        found.append(Finding("registries.rewrites", text % where, value=where))
    return found
