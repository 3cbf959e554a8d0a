# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cluster the machine belongs to."""

from __future__ import annotations

import base64
import calendar
import hashlib
import os
import re

from . import live

KUBERNETES = "/etc/kubernetes"
RANCHER = "/var/lib/rancher/k3s"
# What a K3s cluster keeps for life.
FIXED = ("cluster-cidr", "service-cidr", "cluster-domain")
K3S_CONFIG = "/etc/rancher/k3s/config.yaml"
K3S_ADMIN = "/etc/rancher/k3s/k3s.yaml"
K3S_SECRETS = "/etc/rancher/k3s/config.yaml.d/50-kubewright-secrets.yaml"
# Directories that make a machine a node of another distribution: their own pages on where data lies.
OTHERS = {"rke2": "/var/lib/rancher/rke2/agent", "microk8s": "/var/snap/microk8s/current", "k0s": "/var/lib/k0s/pki"}
# What leaves which file. Kubespray writes the first, k3s-ansible keeps upstream's script under the second name, and that script, run by hand,
# leaves the last two: roles/kubernetes/node/tasks/kubelet.yml, roles/k3s_server/tasks/main.yml and get.k3s.io.
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
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def cluster(host, record, units, now, pool):
    """The `cluster` part. record: the ownership record or None; units: services(), to be waited for."""
    manifests = [os.path.basename(path) for path in host.list(KUBERNETES + "/manifests/*.yaml")]
    server = "kube-apiserver.yaml" in manifests
    admin = host.exists(KUBERNETES + "/admin.conf")
    kubelet_conf = host.read(KUBERNETES + "/kubelet.conf")
    light = None if kubelet_conf or server else k3s(host)
    if light:
        asked = pool.submit(live.k3s, host, light["port"]) if light["admin_conf"] and light["etcd_data"] else None
    else:
        asked = pool.submit(live.live, host, pool) if admin and server else None
    units = units.result()
    found = {
        "kind": _other(host) or ("kubeadm" if kubelet_conf or server else "k3s" if light["data"] or _k3s(units) else None),
        "foreign": False,
        "made_by": None,
        "ca_sha256": authority(host, (light or {}).get("data_dir")),
        "role": None,
        "kubelet_conf": bool(kubelet_conf),
        "admin_conf": admin,
        "manifests": manifests,
        "etcd_data": host.exists("/var/lib/etcd/member"),
        "server": first(r"^\s*server:\s*[\"']?([^\s\"']+)", kubelet_conf),
        "cluster_init": False,
        "datastore": None,
        "secrets_encryption": False,
        "settings": {},
        "node_taints": [],
        "data_dir": None,
        "cni_conf": [os.path.basename(path) for path in host.list("/etc/cni/net.d/*.conf*")],
        "certificates": certificates(host, now),
        "live": None,
    }
    if found["kind"] == "k3s":
        found.update({name: value for name, value in light.items() if name in found})
    if found["kind"]:
        found["foreign"] = not _ours(record)
        found["made_by"] = _maker(host, found["kind"]) if found["foreign"] else "kubewright.cluster"
        control = light["server_data"] or _active(units, "k3s") if found["kind"] == "k3s" else server
        found["role"] = "control_plane" if control else "worker"
    found["live"] = asked.result() if asked else None
    return found


def k3s(host):
    """What K3s left and is told: data is whether the machine is, or was, a node of it.

    https://docs.k3s.io/cli/server: data-dir, and what lies in it.
    """
    settings = host.read(K3S_CONFIG)
    place = (first(r"^data-dir:\s*[\"']?([^\s\"']+)", settings) or RANCHER).rstrip("/")
    server_data = host.exists(place + "/server")
    stored = _datastore(host, place + "/server") if server_data else None
    port = first(r"^https-listen-port:\s*[\"']?([0-9]{1,5})", settings)
    return {
        "data": server_data or host.exists(place + "/agent"),
        "server_data": server_data,
        "data_dir": place,
        "kubelet_conf": host.exists(place + "/agent/kubelet.kubeconfig"),
        "admin_conf": host.exists(K3S_ADMIN),
        # With an external datastore a server has keys, and no database of its own.
        "etcd_data": host.exists(place + "/server/db") or str(stored).startswith("external"),
        "datastore": stored,
        "server": first(r"^server:\s*[\"']?([^\s\"']+)", settings),
        "cluster_init": bool(first(r"^cluster-init:\s*(true)", settings)),
        "secrets_encryption": bool(first(r"^secrets-encryption:\s*(true)", settings)),
        "settings": _values(settings or "", FIXED) if server_data else {},
        "node_taints": _values(settings or "", ["node-taint"]).get("node-taint", []),
        "port": int(port or 6443),
    }


def _values(text, keys):
    """{key: values} of some settings, as K3s's configuration has them: one, or a list."""
    found = {}
    for key in keys:
        part = re.search(r"^%s:[ ]*(\S.*)?\n((?:[ ]*- .*\n)*)" % key, text, re.M)
        if part:
            rows = re.findall(r"- (.*)", part.group(2)) if part.group(2) else (part.group(1) or "").split(",")
            found[key] = [row.strip().strip("\"'") for row in rows if row.strip()]
    return found


def _datastore(host, place):
    """Where a K3s server stores: sqlite, etcd, external with the scheme of its address, or torn; None: it has stored nothing yet.

    An etcd of its own wins (pkg/cluster/managed.go). Beside an unconverted SQLite it is the part that a conversion had reached when it was broken
    off: K3s sets SQLite's file aside after the last key (pkg/etcd/etcd.go, migrateFromSQLite). With an external datastore a server has no database,
    and an authority once that has let it in: pkg/daemons/control/server.go (prepare) makes the directories before.
    """
    sqlite = host.exists(place + "/db/state.db")
    if host.exists(place + "/db/etcd/member/wal"):
        return "torn" if sqlite else "etcd"
    known = host.exists(place + "/tls/server-ca.crt")
    scheme = first(r"^datastore-endpoint:\s*[\"']?([a-z]+)://", host.read(K3S_SECRETS)) if known else None
    return "external " + scheme if scheme else "sqlite" if sqlite else None


def _other(host):
    return next((name for name, path in OTHERS.items() if host.exists(path)), None)


def _ours(record):
    """Whether the collection installed a program here, or K3s's service where the program was there before."""
    known = record or {}
    return bool(known.get("artifacts")) or any(path in (known.get("files") or {}) for path in K3S_SERVICES)


def _maker(host, kind):
    """Who made a cluster that is not ours, by what each leaves; the distribution's own name where nothing else tells."""
    names = {"kubeadm": "kubeadm", "k3s": "K3s", "rke2": "RKE2", "microk8s": "MicroK8s", "k0s": "k0s"}
    fitting = MAKERS[:1] if kind == "kubeadm" else MAKERS[1:] if kind == "k3s" else ()
    return next((name for path, name in fitting if host.exists(path)), names[kind])


def _active(units, name):
    return (units.get(name) or {}).get("active") == "active"


def _k3s(units):
    """Its data or its running service makes a machine a K3s node; program, unit and configuration alone only prepare one."""
    return any(_active(units, name) for name in ("k3s", "k3s-agent"))


def first(pattern, text):
    found = re.search(pattern, text or "", re.M)
    return found.group(1) if found else None


def authority(host, data_dir=None):
    """SHA-256 of the certificate authority: of two clusters it is never the same."""
    data_dir = data_dir or RANCHER
    for path in (KUBERNETES + "/pki/ca.crt", data_dir + "/server/tls/server-ca.crt", data_dir + "/agent/server-ca.crt"):
        text = host.read(path)
        if text is not None:
            digest = fingerprint(text)
            if digest is None:
                host.warn("%s is no certificate" % path)
            return digest
    return None


def fingerprint(text):
    """SHA-256 of the first certificate in a PEM text, or None."""
    block = first(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END", text)
    try:
        return hashlib.sha256(base64.b64decode("".join(block.split()))).hexdigest() if block else None
    except ValueError:
        return None


def certificates(host, now):
    """By name {expires_epoch, days_left} of kubeadm's certificates and the kubelet's."""
    found = {}
    for path in (
        host.list(KUBERNETES + "/pki/*.crt")
        + host.list(KUBERNETES + "/pki/etcd/*.crt")
        + host.list("/var/lib/kubelet/pki/kubelet-client-current.pem")
    ):
        expires = moment(host.expires(path))
        if expires is None:
            host.warn("%s tells no date of expiry" % path)
            continue
        name = os.path.basename(path).rsplit(".", 1)[0]
        found["etcd-" + name if "/etcd/" in path else name] = {
            "expires_epoch": expires,
            "days_left": int((expires - now) // 86400),
        }
    return found


def moment(text):
    """Seconds since 1970 of a certificate's time like "Nov 25 07:59:00 2027 GMT", or None."""
    found = re.fullmatch(r"([A-Z][a-z]{2})\s+([0-9]{1,2}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([0-9]{4}) GMT", text or "")
    if not found or found.group(1) not in MONTHS or found.group(6) == "0000":
        return None
    day, hour, minute, second, year = (int(part) for part in found.groups()[1:])
    return calendar.timegm((year, MONTHS.index(found.group(1)) + 1, day, hour, minute, second))
