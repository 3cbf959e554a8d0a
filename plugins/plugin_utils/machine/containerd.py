# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""containerd's configuration (version 3, containerd 2), the registries' hosts.toml, and the logins.

https://github.com/containerd/containerd/blob/main/docs/cri/config.md and docs/hosts.md
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ..base.distribution import File
from ..base.findings import Finding
from ..base.reference import CNI_TEMPLATE
from . import proxy

HEADER = "# Made by kubewright.cluster. Drop-ins belong in /etc/containerd/conf.d.\n"
CERTS = "/etc/containerd/certs.d"
ENVIRONMENT = "/etc/kubewright/containerd.env"
LOGINS = "/etc/containerd/conf.d/50-kubewright-logins.toml"
AUTH = "plugins.'io.containerd.cri.v1.images'.registry.configs.%s.auth"
DOCKER_HUB = "registry-1.docker.io"
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
        "root = %s" % quoted(data_dir),
        "imports = ['/etc/containerd/conf.d/*.toml']",
        "",
        "[plugins.'io.containerd.cri.v1.images'.pinned_images]",
        "  sandbox = %s" % quoted(pause),
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


def quoted(text: str) -> str:
    """Return text as a basic string of TOML. JSON's escapes are TOML's, but TOML has no surrogates."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def hosts(registries: Registries) -> list[File]:
    """Return the files under certs.d for the input kube_registries: [{path, content, mode, secret}].

    They have no logins. containerd reads them at each pull: no restart.
    """
    mirrors, configs = registries.get("mirrors") or {}, registries.get("configs") or {}
    files: list[File] = []
    for registry in sorted(set(mirrors) | set(configs)):
        lines = ["# Made by kubewright.cluster."]
        if registry != "*":
            lines.append("server = %s" % quoted(_server(registry)))
        for endpoint, override_path in _endpoints(registry, registries):
            lines += _host(endpoint, _settings(endpoint, configs), override_path, files)
        name = "_default" if registry == "*" else registry
        content = "\n".join(lines) + "\n"
        files.append({"path": "%s/%s/hosts.toml" % (CERTS, name), "content": content, "mode": "0644", "secret": False})
    return files


def _endpoints(registry: str, registries: Registries) -> list[tuple[str, bool]]:
    """Return (URL, override_path) of each host that serves a registry, in containerd's order, each once.

    TOML refuses a table that is declared twice, and containerd then ignores the file.
    """
    mirrors, configs = registries.get("mirrors") or {}, registries.get("configs") or {}
    mirror = mirrors.get(registry) or {}
    override = bool(mirror.get("override_path"))
    found = {_url(item): override for item in mirror.get("endpoints") or mirror.get("endpoint") or []}
    if registry in configs and registry != "*":
        found.setdefault(_server(registry), False)
    return list(found.items())


def _url(endpoint: str) -> str:
    return (endpoint if "://" in endpoint else "https://" + endpoint).rstrip("/")


def _settings(endpoint: str, configs: Mapping[str, Any]) -> Mapping[str, Any]:
    return configs.get(_name(endpoint)) or configs.get(_host_of(endpoint)) or configs.get("*") or {}


def logins(registries: Registries) -> str:
    """Return the text of LOGINS, or "" without logins.

    A header in hosts.toml is sent to the registry only. This login is also exchanged for a token where a registry asks
    for one, as Docker Hub and GitLab do. containerd finds it by the host of the request's URL, together with
    config_path: internal/cri/server/images/image_pull.go, core/remotes/docker/authorizer.go. containerd reads it at
    start.
    """
    mirrors, configs = registries.get("mirrors") or {}, registries.get("configs") or {}
    found: dict[str, list[str]] = {}
    for registry in sorted(set(mirrors) | set(configs)):
        for endpoint, _override in _endpoints(registry, registries):
            pairs = _login(_settings(endpoint, configs))
            if pairs:
                found[_host_of(endpoint)] = pairs
    if not found:
        return ""
    lines = ["# Made by kubewright.cluster.", "version = 3"]
    for host, pairs in sorted(found.items()):
        lines += ["", "[%s]" % (AUTH % quoted(host)), *pairs]
    return "\n".join(lines) + "\n"


def _login(settings: Mapping[str, Any]) -> list[str]:
    """Return the lines of a login."""
    if settings.get("username"):
        given = {"username": settings["username"], "password": settings.get("password") or ""}
    else:
        given = {"identitytoken": settings["token"]} if settings.get("token") else {}
    return ["  %s = %s" % (key, quoted(str(value))) for key, value in given.items()]


def _host_of(endpoint: str) -> str:
    """Return the host and port of a URL as they are written in it."""
    return _url(endpoint).split("://", 1)[1].split("/", 1)[0]


def secret_files(registries: Registries, http_proxy: Mapping[str, Any], no_proxy: Sequence[str]) -> list[File]:
    """Return the files that have, or may have, credentials: the logins, clients' keys, and containerd's environment
    with the proxy.

    http_proxy: the input kube_http_proxy. no_proxy: networks and names of the cluster, never reached through the proxy.
    """
    files = [entry for entry in hosts(registries) if entry["secret"]]
    text = logins(registries)
    if text:
        files.append({"path": LOGINS, "content": text, "mode": "0600", "secret": True})
    settings = proxy.environment(http_proxy, no_proxy)
    if settings:
        content = HEADER.splitlines()[0] + "\n" + "".join("%s=%s\n" % pair for pair in settings.items())
        files.append({"path": ENVIRONMENT, "content": content, "mode": "0600", "secret": True})
    return files


def _host(endpoint: str, settings: Mapping[str, Any], override_path: bool, files: list[File]) -> list[str]:
    """Return the lines of hosts.toml for one endpoint. Certificates are added to the files."""
    lines = ["", "[host.%s]" % quoted(endpoint), "  capabilities = ['pull', 'resolve']"]
    if override_path:
        lines.append("  override_path = true")
    if settings.get("insecure_skip_verify"):
        lines.append("  skip_verify = true")
    if settings.get("ca"):
        path = "%s/%s.crt" % (CERTS, _name(endpoint).replace(":", "_"))
        if path not in [entry["path"] for entry in files]:
            files.append({"path": path, "content": settings["ca"].rstrip() + "\n", "mode": "0644", "secret": False})
        lines.append("  ca = %s" % quoted(path))
    if settings.get("certificate"):
        base = "%s/%s-client" % (CERTS, _name(endpoint).replace(":", "_"))
        files += [
            entry for entry in client_files(base, settings) if entry["path"] not in [known["path"] for known in files]
        ]
        lines.append("  client = [[%s, %s]]" % (quoted(base + ".crt"), quoted(base + ".key")))
    return lines


def _server(registry: str) -> str:
    return "https://" + (DOCKER_HUB if registry == "docker.io" else registry)


def _name(endpoint: str) -> str:
    """Return the name that kube_registries.configs has for an endpoint: its host and port."""
    name = _host_of(endpoint)
    return "docker.io" if name == DOCKER_HUB else name


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
        text = "%s: has a password and no username. Add the username."
        found.append(Finding("registries.no_username", text % where, value=where))
    if settings.get("username") and not (settings.get("password") or settings.get("token")):
        text = "%s: has a username and no password. Add the password, or remove the username."
        found.append(Finding("registries.no_password", text % where, value=where))
    if settings.get("username") and settings.get("token"):
        text = "%s: has both username and token, and the token would not be used. Remove one of them."
        found.append(Finding("registries.two_logins", text % where, value=where))
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
        if name in ("auth", "tls"):
            hint = "write what is in it one level higher, as " + ", ".join(known)
        found.append(
            Finding("inputs.unknown", "%s has no key %s; %s" % (where, name, hint), value="%s.%s" % (where, name))
        )
    return found


def _mirror(where: str, mirror: Mapping[str, Any], rewrites: bool, embedded: bool) -> list[Finding]:
    endpoints = mirror.get("endpoints") or mirror.get("endpoint")
    if endpoints and not isinstance(endpoints, (list, tuple)):
        text = "%s: expected a list of URLs as endpoints, got %s. Write each in a line that begins with -."
        shown = "text" if isinstance(endpoints, str) else "another value"
        return [Finding("registries.no_endpoints", text % (where, shown), value=where)]
    if not endpoints and not embedded:
        return [Finding("registries.no_endpoints", "%s: has no endpoints. Give a list of URLs." % where, value=where)]
    found = []
    for item in map(str, endpoints or []):
        found += _endpoint(where, item, bool(mirror.get("override_path")), rewrites)
    if mirror.get("rewrites") and not rewrites:
        text = "%s.rewrites: containerd cannot rewrite names, only K3s can. Remove it, or use an endpoint with a path."
        found.append(Finding("registries.rewrites", text % where, value=where))
    elif mirror.get("rewrites"):
        found += _rewrites(where, mirror["rewrites"])
    return found


def _rewrites(where: str, rewrites: Any) -> list[Finding]:
    """Check the patterns of K3s's rewrites. Where Go's expressions differ from Python's, nothing is said."""
    if not isinstance(rewrites, Mapping) or not all(isinstance(text, str) for text in rewrites.values()):
        text = "%s.rewrites: expected a map of pattern: replacement, both text."
        return [Finding("registries.rewrites", text % where, value=where)]
    found = []
    for pattern in map(str, rewrites):
        try:
            re.compile(pattern)
        except re.error as error:
            if re.match("missing|unterminated|unbalanced|nothing to repeat", error.msg):
                text = '%s.rewrites: "%s" is not a regular expression: %s. Correct it.'
                found.append(Finding("registries.rewrites", text % (where, pattern, error.msg), value=pattern))
    return found


def _endpoint(where: str, url: str, override_path: bool, k3s: bool) -> list[Finding]:
    """Check the URL of a mirror. k3s: True if it is K3s that writes hosts.toml."""
    if "@" in url.split("/", 3)[2 if "://" in url else 0]:
        text = "%s: the URL of an endpoint has a login. Put it into kube_registries.configs: username and password."
        return [Finding("registries.login_in_url", text % where, value=where)]
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        good = good and bool(re.fullmatch(r"[!-~]+", url)) and not parts.query and not parts.fragment
    except ValueError:
        good = False
    if not good:
        text = "%s: %s is not a URL. Write it as https://mirror.example."
        return [Finding("registries.not_a_url", text % (where, url), value=url)]
    path = parts.path.rstrip("/")
    if path.startswith("/v2/") and not path.endswith("/v2") and not override_path and not k3s:
        text = "%s: containerd would ask %s/v2. Set override_path: true, because the URL has the path of the API."
        return [Finding("registries.override_path", text % (where, url.rstrip("/")), value=url)]
    return []


def warnings(registries: Registries, k3s: bool = False, embedded: bool = False) -> list[Finding]:
    """Return what is allowed in kube_registries and probably not meant.

    k3s: True if K3s writes hosts.toml. embedded: True if nodes share images, those of all registries if none is named.

    containerd appends /v2 to a path unless override_path is set. K3s takes any path but /v2 for the whole path of the
    API and does not read override_path (pkg/agent/containerd/config.go, normalizeEndpointAddress). It looks for the
    settings of "*" under another name once that has a mirror (getHostConfigs).
    """
    found = _without_port(registries)
    of_all = (registries.get("configs") or {}).get("*") or {}
    mirrors_all = "*" in (registries.get("mirrors") or ({"*": {}} if embedded else {}))
    if k3s and mirrors_all and any(of_all.get(name) for name in ("ca", "certificate", "insecure_skip_verify")):
        text = "kube_registries.configs[*]: K3s does not use its TLS settings, because all registries have a mirror. "
        text += "Name the registries in configs."
        found.append(Finding("registries.settings_of_all_forgotten", text, value="kube_registries.configs[*]"))
    for registry, mirror in (registries.get("mirrors") or {}).items():
        if not isinstance(mirror, Mapping):
            continue
        override, where = mirror.get("override_path"), "kube_registries.mirrors[%s]" % registry
        for url in _urls(mirror):
            if _endpoint(where, url, True, True):
                continue  # refused
            root, path = url.rstrip("/"), urlsplit(url).path.rstrip("/")
            if (override or k3s) and path and "v2" not in path.split("/"):
                text = "%s: images are asked for at %s/NAME, but registries serve them below /v2. For a project of "
                text += "Harbor write https://HOST/v2/PROJECT."
                found.append(Finding("registries.path_without_v2", text % (where, root), value=url))
            elif path and not override and not k3s and not path.endswith("/v2") and not path.startswith("/v2/"):
                text = "%s: images are asked for at %s/v2/NAME. For a project of Harbor write https://HOST/v2/PROJECT "
                text += "and set override_path: true."
                found.append(Finding("registries.path_with_v2", text % (where, root), value=url))
            elif k3s and override and path in ("", "/v2"):
                text = "%s: override_path has no effect with K3s, which decides by the path of %s. Remove it."
                found.append(Finding("registries.override_path_ignored", text % (where, root), value=url))
    return found


def _urls(mirror: Mapping[str, Any]) -> list[str]:
    """Return the endpoints of a mirror; none if they are not a list, which is refused."""
    found = mirror.get("endpoints") or mirror.get("endpoint") or []
    return [str(url) for url in found] if isinstance(found, (list, tuple)) else []


def _without_port(registries: Registries) -> list[Finding]:
    """Return logins whose host is that of a mirror on another port: the mirror is asked without them."""
    mirrors = [mirror for mirror in (registries.get("mirrors") or {}).values() if isinstance(mirror, Mapping)]
    urls = [url for mirror in mirrors for url in _urls(mirror)]
    places = {urlsplit(url).netloc for url in urls if "://" in url}
    known = registries.get("configs") or {}
    text = (
        "kube_registries.configs[%s] is not used for the mirror at %s. Name it with its port, as in the mirror's URL."
    )
    return [
        Finding("registries.config_without_port", text % (name, place), value=name, limit=place)
        for name in known
        for place in sorted(places)
        if place not in known and place.partition(":")[0] == str(name).partition(":")[0]
    ]
