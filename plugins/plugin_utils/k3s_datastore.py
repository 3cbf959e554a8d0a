# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""K3s's datastore: which it is, whether the address of an external one makes sense, and what a running cluster may become.

https://docs.k3s.io/datastore, https://docs.k3s.io/datastore/ha-embedded#existing-single-node-clusters
"""

from __future__ import annotations

import re

SQLITE, ETCD = "SQLite", "embedded etcd"
TITLES = {"sqlite": SQLITE, "etcd": ETCD, "external": "an external datastore"}
_KINDS = {"postgres": "PostgreSQL", "postgresql": "PostgreSQL", "mysql": "MySQL", "http": "etcd", "https": "etcd"}
# The part after the scheme, as each driver reads it: https://docs.k3s.io/datastore#datastore-endpoint-format-and-functionality
_FORMS = {
    "PostgreSQL": (re.compile(r"([^@/\s]+@)?[^@/:\s]*(:[0-9]+)?(/[^/\s]*)?"), "postgres://user:password@host:5432/database"),
    "MySQL": (
        re.compile(r"([^@/\s]+@)?(tcp\([^()/\s]+\)|unix\([^()\s]+\))?/?[^/\s]*"),
        "mysql://user:password@tcp(host:3306)/database",
    ),
    "etcd": (re.compile(r"[^@/\s,]+"), "https://host-1:2379,https://host-2:2379"),
}
DIRECTORY = "/etc/rancher/k3s/datastore/"
_PEM = {"ca": "CERTIFICATE", "certificate": "CERTIFICATE", "key": "PRIVATE KEY"}
_NAMES = {"ca": ("cafile", "ca.crt"), "certificate": ("certfile", "client.crt"), "key": ("keyfile", "client.key")}


def kind(endpoint: str) -> str:
    """What an address leads to: PostgreSQL, MySQL, etcd; empty where K3s knows no such scheme."""
    return _KINDS.get(endpoint.partition("://")[0], "") if "://" in endpoint else ""


def key_files(tls: dict) -> dict:
    """K3s's keys for the files of k3s_datastore_tls: {cafile: path, ...}."""
    return {_NAMES[name][0]: DIRECTORY + _NAMES[name][1] for name in _NAMES if tls.get(name)}


def files(tls: dict) -> list:
    """Those files: [{path, content, mode, secret}]."""
    return [
        {"path": DIRECTORY + _NAMES[name][1], "content": tls[name].rstrip() + "\n", "mode": "0600", "secret": True}
        for name in _NAMES
        if tls.get(name)
    ]


def problems(values: dict) -> list:
    """Sentences on the inputs that name a datastore. None of them tells the address, which has a password in it."""
    wanted, endpoint, tls = "external_database" in values["kube_needs"], values["k3s_datastore_endpoint"], values["k3s_datastore_tls"]
    found = []
    if wanted and not endpoint:
        found.append("kube_needs asks for external_database; set k3s_datastore_endpoint (https://docs.k3s.io/datastore)")
    if endpoint and not wanted:
        found.append("k3s_datastore_endpoint is set; add external_database to kube_needs, or drop it")
    found += _address_problems(endpoint) if endpoint else []
    if any(tls.values()) and not endpoint:
        found.append("k3s_datastore_tls is set without k3s_datastore_endpoint; set that too, or drop it")
    if bool(tls["certificate"]) != bool(tls["key"]):
        found.append("k3s_datastore_tls: certificate and key belong together, and one of them is missing; give both or none")
    for name, block in _PEM.items():
        if tls[name] and not re.search("-----BEGIN ([A-Z]+ )?%s-----" % block, tls[name]):
            found.append("k3s_datastore_tls.%s holds no PEM block %s; give the file's text, not its path" % (name, block))
    return found


def _address_problems(endpoint):
    named = kind(endpoint)
    if not named:
        scheme = endpoint.partition("://")[0] if "://" in endpoint else "none"
        known = "postgres, mysql, http and https (etcd)"
        return ["k3s_datastore_endpoint has the scheme %s; K3s's are %s (https://docs.k3s.io/datastore)" % (_shown(scheme), known)]
    form, example = _FORMS[named]
    parts = [part.partition("://") for part in endpoint.split(",")] if named == "etcd" else [endpoint.partition("://")]
    if any(_KINDS.get(scheme) != named or not form.fullmatch(rest.partition("?")[0].rstrip("/")) for scheme, _sep, rest in parts):
        return ["k3s_datastore_endpoint is no address of %s; write it as %s (it is not shown here, for its password)" % (named, example)]
    return []


def _shown(scheme):
    """A scheme, unless it is so odd that a password could be in it."""
    return scheme if re.fullmatch(r"[a-z0-9+]{1,12}", scheme) else "of another kind"


def there(nodes: dict, control_planes: list) -> dict:
    """{host: sqlite, etcd, external} of the servers that have data."""
    found = {host: (nodes[host]["info"].get("cluster") or {}).get("datastore") for host in control_planes}
    return {host: name for host, name in found.items() if name}


def settle(wanted: str, known: dict, convert: bool) -> tuple:
    """What the cluster stores in, given what its servers do already.

    wanted: the decision's datastore. known: there(). convert: the input k3s_convert_datastore.
    Returns (datastore, host to convert or None, refusals).
    """
    kinds = set(known.values())
    if not kinds or kinds == {"external"} and wanted.startswith("external"):
        return wanted, None, []
    if kinds == {"etcd"} and wanted in (SQLITE, ETCD):
        return ETCD, None, []  # K3s goes on with the etcd that it finds
    if kinds == {"sqlite"} and len(known) == 1 and wanted in (SQLITE, ETCD):
        host = next(iter(known))
        if wanted == SQLITE or convert:
            return wanted, host if wanted == ETCD else None, []
        text = (
            "%s stores in SQLite, and several servers need embedded etcd; set k3s_convert_datastore: true, "
            "which makes a backup and converts it, or keep one server" % host
        )
        return wanted, None, [text]
    if "etcd" in kinds and wanted == ETCD:
        return wanted, None, []  # a server that was lost and comes back; others' rules speak of it
    seen = "; ".join("%s in %s" % (host, TITLES[name]) for host, name in sorted(known.items()))
    text = "the running servers store otherwise than the inventory says (%s; wanted: %s); a running cluster is not moved: %s"
    return wanted, None, [text % (seen, wanted, "set kube_needs and k3s_datastore_endpoint as they were")]
