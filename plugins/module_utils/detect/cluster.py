# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster that the machine belongs to."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Dict, Iterable, List

from ..node import paths
from ..node.ownership import Record
from . import live, renewal
from .host import Host

KUBERNETES = "/etc/kubernetes"
RANCHER = "/var/lib/rancher/k3s"
# Settings that a K3s cluster keeps for its whole life.
PERMANENT_SETTINGS = ("cluster-cidr", "service-cidr", "cluster-domain")
# kubeadm keeps the kubelet's arguments there: cmd/kubeadm/app/phases/kubelet/flags.go
KUBELET_FLAGS = "/var/lib/kubelet/kubeadm-flags.env"
K3S_CONFIG = "/etc/rancher/k3s/config.yaml"
K3S_ADMIN = "/etc/rancher/k3s/k3s.yaml"
K3S_SECRETS = "/etc/rancher/k3s/config.yaml.d/50-kubewright-secrets.yaml"
# The data directory of each other distribution, from its documentation: a machine that has it is one of its nodes.
OTHERS = {"rke2": "/var/lib/rancher/rke2/agent", "microk8s": "/var/snap/microk8s/current", "k0s": "/var/lib/k0s/pki"}
# A file -> the tool that leaves it. Kubespray writes the first (roles/kubernetes/node/tasks/kubelet.yml). k3s-ansible
# keeps upstream's script as the second (roles/k3s_server/tasks/main.yml). That script, run by hand, leaves the others.
MAKERS = (
    (KUBERNETES + "/kubelet.env", "Kubespray"),
    ("/usr/local/bin/k3s-install.sh", "k3s-ansible"),
    ("/usr/local/bin/k3s-uninstall.sh", "K3s's install script"),
    ("/usr/local/bin/k3s-agent-uninstall.sh", "K3s's install script"),
)
K3S_SERVICES = (
    "/etc/systemd/system/k3s.service",
    "/etc/systemd/system/k3s-agent.service",
    "/etc/init.d/k3s",
    "/etc/init.d/k3s-agent",
)
DATA_DIR_KEY = r"^data-dir:\s*[\"']?([^\s\"']+)"
# As install.sh writes it ('--data-dir' \\ newline '/srv/k3s'), and as people do.
DATA_DIR_ARGUMENT = r"(?:--data-dir|\s['\"]?-d)['\"]?(?:=|[\s\\]+)['\"]?(/[^\s'\"\\]+)"
# What shows that a machine belongs to a cluster. Missing means no; unreadable means unknown.
EVIDENCE = (
    KUBERNETES + "/kubelet.conf",
    KUBERNETES + "/admin.conf",
    KUBERNETES + "/manifests",
    KUBERNETES + "/pki",
    paths.ETCD_DATA,
    K3S_CONFIG,
    K3S_SECRETS,
)
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
ADMIN_DATA = ("certificate-authority-data", "client-certificate-data", "client-key-data")
NODE_USER = "system:node:"


def cluster(
    host: Host, record: Record | None, units: Future[Any], now: float, pool: ThreadPoolExecutor
) -> dict[str, Any]:
    """Return the `cluster` part. record: the ownership record. units: the future result of services().

    Raise OSError if a file or directory that says whether there is a cluster cannot be read.
    """
    host.require_readable(EVIDENCE)
    manifests = [os.path.basename(path) for path in host.list(KUBERNETES + "/manifests/*.yaml")]
    server = "kube-apiserver.yaml" in manifests
    admin = host.exists(KUBERNETES + "/admin.conf")
    kubelet_conf = host.read(KUBERNETES + "/kubelet.conf")
    is_kubeadm = bool(kubelet_conf or server)
    k3s_state: Dict[str, Any] = {} if is_kubeadm else k3s(host)
    asked: Future[Any] | None = None
    if is_kubeadm and admin and server:
        asked = pool.submit(live.live, host, pool)
    elif k3s_state and k3s_state["admin_conf"] and k3s_state["etcd_data"]:
        asked = pool.submit(live.k3s, host, k3s_state["port"], k3s_state["data_dir"])
    services: Dict[str, Any] = units.result()
    is_k3s = not is_kubeadm and (k3s_state["data"] or _k3s(services))
    found: Dict[str, Any] = {
        "kind": _other(host) or ("kubeadm" if is_kubeadm else "k3s" if is_k3s else None),
        "foreign": False,
        "made_by": None,
        "ca_sha256": ca_digest(host, k3s_state.get("data_dir")),
        "role": None,
        "kubelet_conf": bool(kubelet_conf),
        "admin_conf": admin,
        "manifests": manifests,
        "flags": flags(host) if server else {},
        "etcd_servers": etcd_servers(host) if server else [],
        "etcd_data": host.exists("/var/lib/etcd/member"),
        "server": first(r"^\s*server:\s*[\"']?([^\s\"']+)", kubelet_conf),
        "finished": finished(kubelet_conf),
        "cluster_init": False,
        "datastore": None,
        "secrets_encryption": False,
        "settings": {},
        "node_taints": [],
        "node_ips": _node_ips(host.read(KUBELET_FLAGS)) if kubelet_conf else [],
        "kubelet_args": _arguments(host.read(KUBELET_FLAGS)) if kubelet_conf else {},
        "proxy_mode": None,
        "database": None,
        "data_dir": first(r"^root = [\"']([^\"']+)", host.read(paths.CONTAINERD_CONFIG)) if kubelet_conf else None,
        "node_name": node_name(host, k3s_state.get("data_dir")),
        "cni_conf": [os.path.basename(path) for path in host.list("/etc/cni/net.d/*.conf*")],
        "certificates": certificates(host, now),
        "renewal": renewal.renewal(host, kubelet_conf, server, now) if is_kubeadm else None,
        "admin_sha256": admin_digests(host.read(KUBERNETES + "/admin.conf" if is_kubeadm else K3S_ADMIN)),
        "live": None,
    }
    if found["kind"] == "k3s":
        found.update({name: value for name, value in k3s_state.items() if name in found})
        found["certificates"] = renewal.k3s(host, k3s_state["data_dir"], now)
    elif k3s_state.get("admin_conf"):  # a server without its data
        found.update(admin_conf=True, data_dir=k3s_state["data_dir"])
    if found["kind"]:
        found["foreign"] = not _ours(record, [path for path in K3S_SERVICES if host.exists(path)])
        found["made_by"] = _maker(host, found["kind"]) if found["foreign"] else "kubewright.cluster"
        is_server = k3s_state["server_data"] or _active(services, "k3s") if found["kind"] == "k3s" else server
        found["role"] = "control_plane" if is_server else "worker"
    found["live"] = asked.result() if asked else None
    return found


def k3s(host: Host) -> dict[str, Any]:
    """Return the data and settings of K3s on this machine. data: whether it is, or was, a K3s node.

    https://docs.k3s.io/cli/server: data-dir and its content.
    """
    settings = host.read(K3S_CONFIG)
    place = _k3s_data_dir(host, settings)
    host.require_readable([place, place + "/server", place + "/server/db", place + "/agent"])
    server_data = host.exists(place + "/server")
    stored = _datastore(host, place + "/server") if server_data else None
    port = first(r"^https-listen-port:\s*[\"']?([0-9]{1,5})", settings)
    return {
        "data": server_data or host.exists(place + "/agent"),
        "server_data": server_data,
        "data_dir": place,
        "kubelet_conf": host.exists(place + "/agent/kubelet.kubeconfig"),
        "admin_conf": host.exists(K3S_ADMIN),
        # With an external datastore a server has keys, but not a database.
        "etcd_data": host.exists(place + "/server/db") or str(stored).startswith("external"),
        "datastore": stored,
        "finished": stored not in (None, "torn"),
        "server": first(r"^server:\s*[\"']?([^\s\"']+)", settings),
        "cluster_init": bool(first(r"^cluster-init:\s*(true)", settings)),
        "secrets_encryption": bool(first(r"^secrets-encryption:\s*(true)", settings)),
        "settings": settings_of(settings or "", PERMANENT_SETTINGS) if server_data else {},
        "node_taints": settings_of(settings or "", ["node-taint"]).get("node-taint", []),
        "node_ips": settings_of(settings or "", ["node-ip"]).get("node-ip", []),
        "proxy_mode": _proxy_mode(settings) if server_data else None,
        "database": _database(host.read(K3S_SECRETS)) if str(stored).startswith("external") else None,
        "port": int(port or 6443),
    }


def _k3s_data_dir(host: Host, settings: str | None) -> str:
    """Return K3s's data directory. A K3s of others may have it in a drop-in, its environment or its arguments.

    Arguments win over the environment, and that over files: https://docs.k3s.io/installation/configuration
    """
    found = first(DATA_DIR_KEY, settings)
    for path in host.list(paths.K3S_CONFIG_D + "/*.yaml"):
        found = first(DATA_DIR_KEY, host.read(path)) or found
    for unit in K3S_SERVICES:
        name = os.path.basename(unit).partition(".")[0]
        environments = [unit + ".env", "%s/%s.env" % (paths.K3S, name)]
        texts = [(r"K3S_DATA_DIR=[\"']?(/[^\s\"']+)", path) for path in environments] + [(DATA_DIR_ARGUMENT, unit)]
        for pattern, path in texts:
            found = first(pattern, host.read(path)) or found
    return (found or RANCHER).rstrip("/")


def _proxy_mode(settings: str | None) -> str:
    """Return the mode of K3s's kube-proxy, iptables (upstream's default) if its configuration does not set one."""
    arguments = settings_of(settings or "", ["kube-proxy-arg"]).get("kube-proxy-arg", [])
    modes = [text.partition("=")[2] for text in arguments if text.startswith("proxy-mode=")]
    return modes[-1] if modes else "iptables"


def _database(secrets: str | None) -> str | None:
    """Return "SCHEME://HOST:PORT/NAME" of the external database, without its login; None if it has another form."""
    address = first(r"^datastore-endpoint:\s*[\"']?([^\s\"']+)", secrets) or ""
    scheme, _slashes, rest = address.partition("://")
    own = rest if scheme in ("http", "https") else rest.rpartition("@")[2].partition("?")[0]
    # Without a login and a name of the database, what looks like a port may be a password.
    certain = scheme in ("http", "https") or "@" in rest or "/" in rest
    place = re.fullmatch(r"[A-Za-z0-9_.:,()/\[\]-]+", own) if certain else None
    return "%s://%s" % (scheme, place.group(0)) if place else None


def _arguments(flags: str | None) -> dict[str, str]:
    """Return {name: value} of the arguments that kubeadm gives the kubelet."""
    found = re.findall(r"--([a-z0-9-]+)=(\S+)", (first(r"^KUBELET_KUBEADM_ARGS=\"?(.*?)\"?$", flags) or ""))
    return dict(found)


def _node_ips(flags: str | None) -> list[str]:
    """Return the addresses that a kubelet gives its Node, by its arguments: one, or one of each family."""
    found = first(r"--node-ip=([0-9A-Fa-f.:,]+)", flags)
    return found.split(",") if found else []


def flags(host: Host) -> dict[str, list[str]]:
    """Return the names of the arguments that a control plane's manifests give its components."""
    found = {}
    for name in COMPONENTS:
        text = host.read("%s/manifests/%s.yaml" % (KUBERNETES, name)) or ""
        found[name] = sorted(set(re.findall(r"^\s*-\s+[\"']?--([A-Za-z0-9-]+)", text, re.M)))
    return found


def etcd_servers(host: Host) -> list[str]:
    """Return the URLs at which the API server's manifest has etcd."""
    found = first(r"--etcd-servers=[\"']?([^\s\"']+)", host.read(paths.API_SERVER_MANIFEST))
    return found.split(",") if found else []


def settings_of(text: str, keys: Iterable[str]) -> dict[str, list[str]]:
    """Return {key: values} of some settings in K3s's configuration, where each is a value or a list."""
    found: Dict[str, List[str]] = {}
    for key in keys:
        part = re.search(r"^%s:[ ]*(\S.*)?\n((?:[ ]*- .*\n)*)" % key, text, re.M)
        if part:
            rows = re.findall(r"- (.*)", part.group(2)) if part.group(2) else (part.group(1) or "").split(",")
            found[key] = [row.strip().strip("\"'") for row in rows if row.strip()]
    return found


def _datastore(host: Host, place: str) -> str | None:
    """Return a K3s server's datastore: sqlite, etcd, "external SCHEME", torn or removed; None if nothing is stored.

    If etcd and an unconverted SQLite database are both there, a conversion was interrupted ("torn"): K3s renames
    SQLite's file after the last key is copied (pkg/etcd/etcd.go, migrateFromSQLite). Otherwise etcd wins
    (pkg/cluster/managed.go). With an external datastore a server has no database, but a certificate authority once the
    datastore has accepted it. Its directories are made before that (pkg/daemons/control/server.go, prepare).

    removed: the cluster has removed this server's member, as after `kubectl delete node`. K3s leaves a tombstone then
    (pkg/executor/embed/etcd/etcd.go).
    """
    if host.exists(place + paths.K3S_TOMBSTONE):
        return "removed"
    sqlite = host.exists(place + "/db/state.db")
    if host.exists(place + "/db/etcd/member/wal"):
        return "torn" if sqlite else "etcd"
    known = host.exists(place + "/tls/server-ca.crt")
    scheme = first(r"^datastore-endpoint:\s*[\"']?([a-z]+)://", host.read(K3S_SECRETS)) if known else None
    return "external " + scheme if scheme else "sqlite" if sqlite else None


def finished(kubelet_conf: str | None) -> bool:
    """Return True if the kubelet has its own certificate, by its kubeconfig.

    A join leaves it so, and so does `kubeadm init` in its phase kubelet-finalize, when the cluster has everything but
    its addons: cmd/kubeadm/app/cmd/phases/init/kubeletfinalize.go of kubernetes/kubernetes.
    """
    return paths.KUBELET_CLIENT in (kubelet_conf or "")


def node_name(host: Host, data_dir: str | None = None) -> str | None:
    """Return the name under which the machine is in its cluster, by its kubelet's certificate; None if it has none.

    https://kubernetes.io/docs/reference/access-authn-authz/node/#overview
    """
    for path in (paths.KUBELET_CLIENT, (data_dir or RANCHER) + "/agent/client-kubelet.crt"):
        name = host.common_name(path) or ""
        if name.startswith(NODE_USER):
            return name[len(NODE_USER) :]
    return None


def _other(host: Host) -> str | None:
    return next((name for name, path in OTHERS.items() if host.exists(path)), None)


def _ours(record: Record | None, units: list[str]) -> bool:
    """Return True if the collection made the node: K3s's units, and without one a program that it installed.

    units: those of K3s on the machine. A K3s that somebody installed beside programs of ours is not ours.
    """
    known = record or {}
    files = known.get("files") or {}
    return any(path in files for path in units) if units else bool(known.get("artifacts"))


def _maker(host: Host, kind: str) -> str:
    """Return the tool that made a foreign cluster by the files that it leaves, or else the distribution's name."""
    names = {"kubeadm": "kubeadm", "k3s": "K3s", "rke2": "RKE2", "microk8s": "MicroK8s", "k0s": "k0s"}
    fitting = MAKERS[:1] if kind == "kubeadm" else MAKERS[1:] if kind == "k3s" else ()
    return next((name for path, name in fitting if host.exists(path)), names[kind])


def _active(units: dict[str, Any], name: str) -> bool:
    return (units.get(name) or {}).get("active") == "active"


def _k3s(units: dict[str, Any]) -> bool:
    """Return True if a service of K3s runs. The program, unit and configuration only prepare a machine."""
    return any(_active(units, name) for name in ("k3s", "k3s-agent"))


def first(pattern: str, text: str | None) -> str | None:
    """Return the first group of the first match of a pattern in a text, or None."""
    found = re.search(pattern, text or "", re.M)
    return found.group(1) if found else None


def ca_digest(host: Host, data_dir: str | None = None) -> str | None:
    """Return the SHA-256 of the cluster's certificate authority, which no two clusters share; None if there is none."""
    data_dir = data_dir or RANCHER
    for path in (KUBERNETES + "/pki/ca.crt", data_dir + "/server/tls/server-ca.crt", data_dir + "/agent/server-ca.crt"):
        text = host.read(path)
        if text is not None:
            digest = fingerprint(text)
            if digest is None:
                host.warn("%s is not a certificate" % path)
            return digest
    return None


def fingerprint(text: str) -> str | None:
    """Return the SHA-256 of the first certificate in a PEM text, or None."""
    block = first(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END", text)
    try:
        return hashlib.sha256(base64.b64decode("".join(block.split()))).hexdigest() if block else None
    except ValueError:
        return None


def admin_digests(kubeconfig: str | None) -> dict[str, str] | None:
    """Return by name the SHA-256 of the certificates and the key in the administrator's kubeconfig; None without them.

    They are random enough that nobody can guess them from a digest.
    """
    found = re.findall(r"\b(%s):[ ]*[\"']?([A-Za-z0-9+/=]+)" % "|".join(ADMIN_DATA), kubeconfig or "")
    try:
        digests = {name: hashlib.sha256(base64.b64decode(value)).hexdigest() for name, value in found}
    except ValueError:
        return None
    return digests if len(digests) == len(ADMIN_DATA) else None


def certificates(host: Host, now: float) -> dict[str, dict[str, int]]:
    """Return {expires_epoch, days_left} of kubeadm's and the kubelet's certificates by name, in kubeconfigs too."""
    found: Dict[str, Dict[str, int]] = {}
    for path in (
        host.list(KUBERNETES + "/pki/*.crt")
        + host.list(KUBERNETES + "/pki/etcd/*.crt")
        + host.list("/var/lib/kubelet/pki/kubelet-client-current.pem")
    ):
        expires = renewal.certificate_time(host.expires(path))
        if expires is None:
            host.warn("%s: the expiry date of this certificate cannot be read" % path)
            continue
        name = os.path.basename(path).rsplit(".", 1)[0]
        found["etcd-" + name if "/etcd/" in path else name] = {
            "expires_epoch": expires,
            "days_left": int((expires - now) // 86400),
            **(renewal.life(host) if name == renewal.KUBELET else {}),
        }
    return {**found, **renewal.kubeconfigs(host, now)}
