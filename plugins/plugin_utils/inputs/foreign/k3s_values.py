# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What values that K3s's projects share are in this collection's inputs, for the rows of their tables."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from . import k3s_settings
from .dialect import Context, Outcome, Read, as_list, ask, is_empty, is_true, left, nothing, translated

K3S = {"kube_distribution": "k3s"}


def version(name: str) -> Read:
    """Return the reader of a release of K3s, which asks for K3s too."""

    def read(value: Any, context: Context) -> Outcome:
        text = str(value).strip()
        if is_empty(value) or value is False or text in ("false", "stable", "latest"):
            return translated(K3S, "the newest release that this collection was tested with")
        if not re.match(r"v?[0-9]+\.[0-9]+", text):
            return ask("%s %s: a channel or commit is not supported. Set it to a release such as v1.36." % (name, text))
        return _agreed(name, text, context)

    return read


def _agreed(name: str, text: str, context: Context) -> Outcome:
    """Return the release, unless the inventory also asks for something else."""
    other, kind = context.own.get("kube_version"), context.own.get("kube_distribution")
    if kind not in (None, "", "auto", K3S["kube_distribution"]):
        return ask("%s %s asks for K3s, and kube_distribution is %s. Remove one of them." % (name, text, kind))
    if not is_empty(other) and str(other).lstrip("v") != text.lstrip("v"):
        return ask("%s is %s and kube_version is %s. Remove one of them." % (name, text, other))
    return translated({**K3S, "kube_version": text})


def arguments(name: str, server: bool) -> Read:
    """Return the reader of a command line for servers, or for agents."""
    return _reader(name, server, k3s_settings.arguments, "%s --%s")


def settings(name: str, server: bool) -> Read:
    """Return the reader of a map of settings, or of the YAML text of one, for servers or for agents."""
    return _reader(name, server, k3s_settings.document, "%s: %s")


def _reader(name: str, server: bool, parse: Callable[[str, Any], Mapping[str, Any]], label: str) -> Read:
    """Return the reader of settings. parse: of a value. label: how the user wrote it."""

    def read(value: Any, context: Context) -> list[Outcome]:
        if context.server is not server:
            return [nothing("not for this host")]
        if is_empty(value):
            return [nothing("empty")]
        return k3s_settings.outcomes(parse(name, value), lambda key: label % (name, key))

    return read


def registries(name: str) -> Read:
    """Return the reader of K3s's registries.yaml."""
    return lambda value, _context: k3s_settings.registries(name, value) if not is_empty(value) else nothing("empty")


def environment(name: str) -> Read:
    """Return the reader of environment variables of K3s's service."""
    return lambda value, _context: k3s_settings.environment(name, k3s_settings.variables(value))


def endpoint(value: Any, context: Context) -> Outcome:
    """Read the address at which agents register: a server's own, or a load balancer's."""
    if is_empty(value):
        return nothing("empty")
    if str(value) in context.servers:
        return nothing("a server's own address; the plan provides the endpoint")
    place: dict[str, Any] = {"mode": "external", "address": str(value)}
    port = context.get("api_port")
    return translated({"kube_api_endpoint": {**place, **({} if is_empty(port) else {"port": port})}})


def data_dir(name: str) -> Read:
    """Return the reader of K3s's data directory."""
    return lambda value, _context: k3s_settings.data_dir(name, value)


def token(value: Any, context: Context) -> Outcome:
    """Read the servers' token, which only an external datastore needs."""
    given = str([context.get(name) for name in ("extra_server_args", "server_config_yaml")])
    external = is_true(context.get("use_external_database")) or "datastore-endpoint" in given
    if external and not is_empty(value):
        return translated({"k3s_token": str(value)})
    return nothing("tokens are made on the first server")


def manifests(value: Any, _context: Context) -> Outcome:
    """Read a list of manifests on the controller."""
    rows = [{"name": _name(path), "src": str(path)} for path in as_list(value) if not is_empty(path)]
    return translated({"k3s_manifests": rows}) if rows else nothing("empty")


def _name(path: Any) -> str:
    stem = os.path.basename(str(path)).partition(".")[0].lower()
    return re.sub(r"[^a-z0-9-]+", "-", stem).strip("-") or "manifest"


def database(value: Any, context: Context) -> Outcome:
    """Read the switch for an external database."""
    if not is_true(value):
        return nothing("off")
    given = str([context.get("extra_server_args"), context.get("server_config_yaml")])
    if "datastore-endpoint" in given or context.own.get("k3s_datastore_endpoint"):
        return translated({"kube_needs": ["external_database"]})
    return ask("use_external_database: the database is not named. Set k3s_datastore_endpoint.")


def air_gap(name: str) -> Read:
    """Return the reader of a folder with K3s's files."""
    text = (
        "%s %s: programs would come from the internet. Arrange the files as upstream does (docs/mirrors.md), and set "
        "kube_artifacts: {source: DIRECTORY} and kube_needs: [air_gap]."
    )
    return lambda value, _context: nothing("off") if value in (None, "", False) else ask(text % (name, value))


def kubeconfig(value: Any, _context: Context) -> Outcome:
    """Read the path of the kubeconfig on the controller; the user's own one is merged into."""
    if os.path.normpath(os.path.expanduser(str(value))) == os.path.expanduser("~/.kube/config"):
        return translated({"kube_kubeconfig": {"merge": True}})
    return translated({"kube_kubeconfig": {"path": str(value)}})


def groups(name: str, usual: str) -> Read:
    """Return the reader of the name of a group."""
    text = "%s %s: groups have fixed names. Call the group %s."
    return lambda value, _context: nothing("as here") if str(value) == usual else ask(text % (name, value, usual))


def proxies(value: Any, _context: Context) -> list[Outcome] | Outcome:
    """Read a map of HTTP_PROXY, HTTPS_PROXY and NO_PROXY."""
    return k3s_settings.environment("proxy_env", value) if isinstance(value, Mapping) else left("expected a map")
