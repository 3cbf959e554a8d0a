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

from ..base.reference import CNI_TEMPLATE

HEADER = "# Made by kubewright.cluster. Drop-ins belong in /etc/containerd/conf.d.\n"
CERTS = "/etc/containerd/certs.d"
ENVIRONMENT = "/etc/kubewright/containerd.env"


def config(node: dict, driver: str, pause: str, data_dir: str, with_template: bool) -> str:
    """The text of /etc/containerd/config.toml for one node.

    driver: the cgroup driver. pause: the sandbox image. data_dir: root of images and state.
    with_template: containerd itself writes the CNI configuration, with the node's pod network, from CNI_TEMPLATE.
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


def hosts(registries: dict) -> list:
    """The files under certs.d for the input kube_registries: [{path, content, mode, secret}].

    Files with credentials have mode 0600. containerd reads them at each pull: no restart.
    """
    mirrors, configs = registries.get("mirrors") or {}, registries.get("configs") or {}
    files = []
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


def secret_files(registries: dict, proxy: dict, direct: list) -> list:
    """The files that hold, or may hold, credentials: hosts.toml with a login, and containerd's environment with the proxy.

    proxy: the input kube_http_proxy. direct: networks and names of the cluster, never sent through the proxy.
    """
    files = [entry for entry in hosts(registries) if entry["secret"]]
    if proxy.get("http") or proxy.get("https"):
        settings = {
            "HTTP_PROXY": proxy.get("http") or proxy["https"],
            "HTTPS_PROXY": proxy.get("https") or proxy["http"],
            "NO_PROXY": ",".join(["localhost", "127.0.0.1", *direct, *(proxy.get("no_proxy") or [])]),
        }
        content = HEADER.splitlines()[0] + "\n" + "".join("%s=%s\n" % pair for pair in settings.items())
        files.append({"path": ENVIRONMENT, "content": content, "mode": "0600", "secret": True})
    return files


def _host(endpoint, settings, mirror, files):
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
        files += [entry for entry in client_files(base, settings) if entry["path"] not in [known["path"] for known in files]]
        lines.append("  client = %s" % json.dumps([[base + ".crt", base + ".key"]]))
    header = _authorization(settings)
    if header:
        lines += ["  [host.%s.header]" % json.dumps(url), "    Authorization = %s" % json.dumps(header)]
    return lines, bool(header)


def _authorization(settings):
    if settings.get("username"):
        pair = "%s:%s" % (settings["username"], settings.get("password") or "")
        return "Basic " + base64.b64encode(pair.encode()).decode()
    return "Bearer " + settings["token"] if settings.get("token") else ""


def _server(registry):
    return "https://registry-1.docker.io" if registry == "docker.io" else "https://" + registry


def _name(endpoint):
    """Host and port of an endpoint's URL."""
    name = endpoint.split("://", 1)[-1].split("/", 1)[0]
    return "docker.io" if name == "registry-1.docker.io" else name


def client_files(base: str, settings: dict) -> list:
    """A client's certificate and key, as base.crt and base.key: [{path, content, mode, secret}]."""
    return [
        {"path": base + ".crt", "content": settings["certificate"].rstrip() + "\n", "mode": "0644", "secret": False},
        {"path": base + ".key", "content": settings["key"].rstrip() + "\n", "mode": "0600", "secret": True},
    ]


MIRROR_KEYS = ("endpoint", "endpoints", "override_path", "rewrites")
CONFIG_KEYS = ("ca", "certificate", "insecure_skip_verify", "key", "password", "token", "username")


def problems(registries: dict, rewrites: bool = False, embedded: bool = False) -> list:
    """Check kube_registries. rewrites: True if mirrors may have `rewrites`. embedded: True if nodes share images, which needs no endpoint."""
    found = []
    for registry, mirror in (registries.get("mirrors") or {}).items():
        place = "kube_registries.mirrors[%s]" % registry
        if mirror is not None and not isinstance(mirror, dict):
            found.append("%s is no map; give it endpoints, a list of URLs" % place)
            continue
        found += _unknown(place, mirror or {}, MIRROR_KEYS) + _mirror(place, mirror or {}, rewrites, embedded)
    for host, settings in (registries.get("configs") or {}).items():
        place = "kube_registries.configs[%s]" % host
        if not isinstance(settings, dict):
            found.append("%s is no map" % place)
            continue
        found += _unknown(place, settings, CONFIG_KEYS)
        if settings.get("password") and not settings.get("username"):
            found.append("%s has a password and no username" % place)
        if bool(settings.get("certificate")) != bool(settings.get("key")):
            found.append("%s: certificate and key belong together; give both or none" % place)
        found += [
            "%s.%s holds no PEM text; give what is in the file, not its path" % (place, name)
            for name in ("ca", "certificate", "key")
            if settings.get(name) and "-----BEGIN " not in str(settings[name])
        ]
    return found


def _unknown(place, given, known):
    found = []
    for name in sorted(set(given) - set(known), key=str):
        near = difflib.get_close_matches(str(name), known, n=1)
        found.append("%s has no key %s%s" % (place, name, "; did you mean %s?" % near[0] if near else "; there are " + ", ".join(known)))
    return found


def _mirror(place, mirror, rewrites, embedded):
    endpoints = mirror.get("endpoints") or mirror.get("endpoint")
    if not endpoints and not embedded or endpoints and not isinstance(endpoints, list):
        return ["%s has no endpoints; give a list of URLs" % place]
    found = [
        "%s: %r is no URL: write it as https://mirror.example" % (place, item) for item in endpoints or [] if "://" not in str(item)
    ]
    if mirror.get("rewrites") and not rewrites:
        found.append("%s.rewrites: containerd cannot rewrite names, K3s can; drop it, or use an endpoint with a path" % place)
    return found
