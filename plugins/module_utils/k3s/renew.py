# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renew the certificates of a K3s node: its own command moves them away, and the next start makes new ones.

Standard library only. https://docs.k3s.io/cli/certificate#rotating-client-and-server-certificates-manually
"""

from __future__ import annotations

import os
from typing import Dict, Sequence

from ..api import certificates
from ..base import commands
from ..node import paths, services
from . import runner
from .tokens import K3sError


def digests(data_dir: str, names: Sequence[str]) -> Dict[str, str]:
    """Return digests of certificates by name, a path below the data directory without .crt; "" if it is missing."""
    found = {name: certificates.read("%s/%s.crt" % (data_dir, name)) for name in names}
    return {name: row.digest if row else "" for name, row in found.items()}


def rotate(unit: str, program: str, data_dir: str) -> None:
    """Stop K3s and let it move its certificates away. Raise K3sError, after which K3s runs with the former ones.

    K3s keeps a copy of the former ones below the server's directory.
    """
    runner.stop(unit)
    done = commands.run([program, "certificate", "rotate", "--data-dir", data_dir], timeout=60, clean=True)
    if done.rc:
        services.here().start(unit, restart=False)
        raise K3sError("k3s certificate rotate failed, and %s was started again: %s" % (unit, done.complaint()))


def problem(data_dir: str, former: Dict[str, str]) -> str:
    """Return which certificates are missing or are still the former ones, "" if all are new."""
    now = digests(data_dir, list(former))
    old = [name for name, digest in former.items() if now[name] in ("", digest)]
    return "K3s has not made new certificates (%s)" % ", ".join(old[:3]) if old else _served_problem(data_dir)


def _served_problem(data_dir: str) -> str:
    """Return that the embedded etcd serves another certificate than its file."""
    place = data_dir + "/server/tls/etcd/server-client.crt"
    if not os.path.isdir(data_dir + "/server/db/etcd/member"):
        return ""
    client = (data_dir + "/server/tls/etcd/client.crt", data_dir + "/server/tls/etcd/client.key")
    there = certificates.served_at(paths.K3s().loopback.strip("[]"), paths.ETCD_PORT, client)
    file = certificates.read(place)
    same = there is not None and file is not None and there.digest == file.digest
    return "" if same else "etcd does not serve the certificate in %s" % place
