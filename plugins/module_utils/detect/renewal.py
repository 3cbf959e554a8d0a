# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the renewal of a kubeadm node's certificates has to know beside the days that they have left."""

from __future__ import annotations

import calendar
import re
from typing import Any, Dict

from ..node import paths
from .host import Host

KUBELET = "kubelet-client-current"
# In a kubelet.conf that holds a short-lived certificate until the kubelet has its own again.
BORROWED = "client-certificate-data:"
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
# K3s's authorities, such as server-ca and client-ca.nochain, and what they are made of.
K3S_AUTHORITY = re.compile(r"(^|-)(root-|intermediate-)?ca(\.|$)")


def kubeconfigs(host: Host, now: float) -> Dict[str, Dict[str, int]]:
    """Return {expires_epoch, days_left} of the client certificates in this control plane's kubeconfigs, by file."""
    found: Dict[str, Dict[str, int]] = {}
    for path in host.list(paths.KUBERNETES + "/*.conf"):
        name = path.rpartition("/")[2]
        known = None if path == paths.KUBELET_CONF else host.certificate(path)
        if known:
            found[name] = {"expires_epoch": known["expires"], "days_left": int((known["expires"] - now) // 86400)}
    return found


def life(host: Host) -> Dict[str, int]:
    """Return {life_days} of the kubelet's certificate: it renews itself when 70 to 90 percent of it are over.

    https://kubernetes.io/docs/tasks/tls/certificate-rotation/#understanding-the-certificate-rotation-configuration
    """
    known = host.certificate(paths.KUBELET_CLIENT)
    return {"life_days": (known["expires"] - known["begins"]) // 86400} if known else {}


def k3s(host: Host, data_dir: str, now: float) -> Dict[str, Dict[str, int]]:
    """Return {expires_epoch, days_left} of a K3s node's certificates, by their path below its data directory."""
    found: Dict[str, Dict[str, int]] = {}
    for place in ("server/tls", "server/tls/etcd", "agent"):
        for path in host.list("%s/%s/*.crt" % (data_dir, place)):
            stem = path.rpartition("/")[2][: -len(".crt")]
            expires = None if K3S_AUTHORITY.search(stem) else certificate_time(host.expires(path))
            if expires is not None:
                days = int((expires - now) // 86400)
                found["%s/%s" % (place, stem)] = {"expires_epoch": expires, "days_left": days}
    return found


def renewal(host: Host, kubelet_conf: str | None, is_control_plane: bool, now: float) -> Dict[str, Any]:
    """Return {authorities, outdated, borrowed, serving}.

    authorities: those whose private keys are on this control plane. outdated: why a static pod does not use the
    certificates in its files, by its name. borrowed: True if the kubelet's kubeconfig holds a short-lived certificate.
    serving: {kind, days_left, life_days, waits} of what the kubelet serves, None if that is unknown.
    """
    found: Dict[str, Any] = {"authorities": [], "outdated": {}, "borrowed": False, "serving": None}
    text = kubelet_conf or ""
    # kubeadm's own file is like this too, until init has passed its phase kubelet-finalize.
    found["borrowed"] = BORROWED in text and paths.KUBELET_CLIENT in text
    if is_control_plane:
        keys = {"ca": "ca", "etcd-ca": "etcd/ca", "front-proxy-ca": "front-proxy-ca"}
        place = paths.KUBERNETES + "/pki/"
        found["authorities"] = [name for name, file in keys.items() if host.exists("%s%s.key" % (place, file))]
        found["outdated"] = host.outdated() or {}
    serving = host.kubelet_serving() if kubelet_conf else None
    if serving:
        kind, begins, expires, waits = serving
        days = {"days_left": int((expires - now) // 86400), "life_days": (expires - begins) // 86400}
        found["serving"] = {"kind": kind, **days, "waits": waits}
    return found


def certificate_time(text: str | None) -> int | None:
    """Return the seconds since 1970 of a certificate's time like "Nov 25 07:59:00 2027 GMT", or None."""
    found = re.fullmatch(r"([A-Z][a-z]{2})\s+([0-9]{1,2}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([0-9]{4}) GMT", text or "")
    if not found or found.group(1) not in MONTHS or found.group(6) == "0000":
        return None
    day, hour, minute, second, year = (int(part) for part in found.groups()[1:])
    return calendar.timegm((year, MONTHS.index(found.group(1)) + 1, day, hour, minute, second))
