# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run K3s on a node: install script, start, and waiting until it serves. Standard library only."""

from __future__ import annotations

import os
import re
import time
from typing import Callable, Collection

from ..api import etcd, tls
from ..base import commands
from ..base.masking import masked_message
from ..base.text_files import read_text, write_atomically, write_secret
from ..node import ownership, paths, services
from . import datastore
from .tokens import K3sError

SELINUX = "/sys/fs/selinux/enforce"
AUDIT = paths.K3S + "/hardening/audit.yaml"
# A server that waits to become a learner fails now and then. With more failures than these, waiting ends.
MOST_RESTARTS = 12
# An agent retries when its token is refused. A server that has just started does not refuse a valid one for so long.
REFUSED_SECONDS = 30
# A server that restarts is back sooner.
UNREACHED_SECONDS = 90
_NO_CONNECTION = re.compile(
    r"dial tcp (?!127\.|\[::1\])(\S+:\d+): (?:connect: )?(i/o timeout|connection refused|no route to host)"
)
_UNREACHED = re.compile(r"connection refused|no such host|i/o timeout|no route to host")
# An agent asks through its own balancer, which closes the connection: https://github.com/k3s-io/k3s/issues/9748. Only
# the last lines count: an agent that reached a server logs other things.
_BALANCER_CLOSED = re.compile(r"get CA certs: .*(EOF|connection reset by peer|deadline exceeded)")
# A database that has just started may refuse for a moment what it accepts later.
DATABASE_SECONDS = 12


def unpack(program: str, data_dir: str) -> bool:
    """Let the program unpack what it carries, as its first start would. Return True if that was new.

    Each command that belongs to another program unpacks first: cmd/k3s/main.go (extract). If that fails, the start of
    the service reports it.
    """

    def unpacked() -> set[str]:
        return set(os.listdir(data_dir + "/data")) if os.path.isdir(data_dir + "/data") else set()

    known = unpacked()
    commands.run([program, "crictl", "--version"], timeout=300)
    return unpacked() != known


def install(script: str, role: str, makes: list[str], perhaps: list[str]) -> None:
    """Run upstream's install script without enabling or starting the service. What it writes is recorded as ours first.

    makes: paths that it always writes. perhaps: paths that it writes only if they do not exist. Raise K3sError.
    Its variables: https://docs.k3s.io/reference/env-variables
    """
    record = ownership.read()
    for path in makes:
        ownership.back_up_former(path, record)
    new = [path for path in perhaps if not os.path.lexists(path)]
    record["files"].update({path: {"backup": None} for path in new})
    ownership.write(record)
    variables = {"INSTALL_K3S_EXEC": role, "INSTALL_K3S_SKIP_DOWNLOAD": "true", "INSTALL_K3S_SKIP_ENABLE": "true"}
    ours = [path for path in perhaps if path not in new and not os.path.islink(path) and path.endswith(".env")]
    kept = {path: read_text(path).strip() for path in ours}
    done = commands.run(["sh", script], timeout=120, env=variables, clean=True, merge=True)
    for path, content in kept.items():
        write_secret(path, content)  # the script writes these files again from its own environment
    for path in new:
        if not os.path.lexists(path):
            del record["files"][path]
    ownership.write(record)
    if done.rc:
        raise K3sError("K3s's install script failed: %s" % done.complaint())


def convert(unit: str, data_dir: str) -> str:
    """Back up SQLite before K3s converts it to etcd at its next start.

    Return the path of the backup, "" if there is nothing to convert. Raise datastore.DatastoreError or K3sError.
    """
    if not datastore.pending(data_dir):
        return ""
    backup = datastore.back_up(data_dir, lambda: stop(unit))
    if os.path.exists(data_dir + "/server/db/etcd"):
        stop(unit)
        datastore.set_aside(data_dir)
    return backup


def stop(unit: str) -> None:
    """Stop the service, and wait for it."""
    done = services.here().stop(unit)
    if done.rc:
        raise K3sError("%s does not stop: %s" % (unit, done.complaint()))


def label(data_dir: str) -> None:
    """Set SELinux labels on files that were written before K3s's policy was installed. Raise K3sError.

    Upstream's install.sh does the same (setup_selinux).
    """
    if not os.path.exists(SELINUX):
        return
    inner = [data_dir + part for part in ("/agent/etc", "/agent/images", "/server/manifests")]
    units = [services.Systemd.path(name) for name in paths.K3S_SERVICES]
    done = commands.run(["restorecon", "-R", "-i", paths.K3S_PROGRAM, paths.K3S, *inner, *units], merge=True)
    # Without restorecon there are no labels to set: policycoreutils belongs to every system that uses SELinux.
    if done.rc not in (0, commands.NOT_STARTED):
        raise K3sError("SELinux labels cannot be set: %s" % done.complaint())


def _voters(data_dir: str) -> int:
    """Return the number of voting members of this server's etcd. Raise K3sError if it does not answer."""
    try:
        members = etcd.peers(data_dir) or []
    except tls.NO_ANSWER as error:
        raise K3sError("its etcd does not answer: %s" % error) from error
    return len(members) - len(etcd.learners(members))


def settle(data_dir: str, server: str, path: str = paths.K3S_CONFIG) -> bool:
    """Replace cluster-init by another server, once others have joined. Return True if the file changed.

    K3s uses both only if it has no data when it starts: with cluster-init it would start a second cluster then
    (pkg/cluster/bootstrap.go, shouldBootstrapLoad). The file keeps its time, because the running K3s needs no restart.
    """
    content = read_text(path)
    if not re.search(r"^cluster-init: true$", content, re.M) or _voters(data_dir) < 2:
        return False
    _rewrite(path, re.sub(r"(?m)^cluster-init: true$", lambda _found: "server: " + server, content, count=1))
    return True


def redirect(server: str, former: Collection[str], check: bool = False, path: str = paths.K3S_CONFIG) -> bool:
    """Name another server in place of one that has left the cluster. Return True if the file changes.

    former: addresses of those that have left. K3s reads the line when it starts. Until then agents use the list of
    servers that they keep themselves: https://docs.k3s.io/architecture#fixed-registration-address-for-agent-nodes
    """
    content = read_text(path)
    found = re.search(r"^server:\s*[\"']?https://(\[[^\]\s]+\]|[^:/\s\"']+)\S*$", content, re.M)
    if not found or found.group(1).strip("[]") not in former:
        return False
    if not check:
        _rewrite(path, content[: found.start()] + "server: " + server + content[found.end() :])
    return True


def _rewrite(path: str, text: str) -> None:
    """Write a file that keeps its time, owner and mode: the running K3s needs no restart."""
    info = os.stat(path)
    write_atomically(path, text.encode(), info.st_mode & 0o7777, info.st_uid, info.st_gid)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def keep_private(data_dir: str) -> None:
    """Make a server's directory, and that of the hardened profile's audit log, for root only, as K3s does.

    pkg/daemons/control/server.go (prepare),
    https://docs.k3s.io/security/hardening-guide#api-server-audit-configuration
    """
    for part in ["/server"] + (["/server/logs"] if os.path.exists(AUDIT) else []):
        os.makedirs(data_dir + part, mode=0o700, exist_ok=True)
        os.chmod(data_dir + part, 0o700)


def start(unit: str, restart: bool, data_dir: str) -> None:
    """Enable the service and start or restart it, without waiting: K3s itself reports when it serves."""
    if unit == "k3s":
        keep_private(data_dir)
    label(data_dir)
    done = services.here().start(unit, restart)
    if done.rc:
        raise K3sError("%s: %s" % (unit, done.complaint()))


def wait(node: str, unit: str, problem_of: Callable[[], str], server: bool, timeout: int, database: str = "") -> None:
    """Wait until the node serves. Raise K3sError with K3s's last errors if it does not in time, or keeps failing.

    node: its name, for messages. problem_of: returns why it does not serve yet, "" if it does. server: False for an
    agent. timeout: seconds. database: the external datastore, for messages, "" if there is none.
    """
    began = time.monotonic()
    manager = services.here()
    before = manager.restarts(unit)
    old_lines = set(manager.log(unit, 60).splitlines()) if database else set()
    while True:
        problem = problem_of()
        if not problem:
            return
        waited = time.monotonic() - began
        hopeless = _datastore_refusal(unit, waited, database, old_lines) if server else _agent_refusal(unit, waited)
        if hopeless:
            raise K3sError("%s: %s: %s\n%s" % (node, unit, hopeless, last_errors(unit)))
        failures = manager.restarts(unit) - before
        if waited > timeout or failures > MOST_RESTARTS:
            span = "%d starts" % failures if failures > MOST_RESTARTS else "%d s" % timeout
            why = "%s: %s does not serve after %s: %s\n" % (node, unit, span, masked_message(problem))
            raise K3sError(why + _unreached_address(unit) + last_errors(unit))
        time.sleep(0.5)


def _datastore_refusal(unit: str, seconds: float, database: str, old_lines: set[str]) -> str:
    """Return why an external datastore refuses K3s, and the way out; "" if the new lines of the log do not say so."""
    if not database or seconds < DATABASE_SECONDS:
        return ""
    way_out = datastore.refusal([line for line in services.here().log(unit, 30).splitlines() if line not in old_lines])
    return way_out and "its datastore, %s: %s" % (database, way_out)


def _agent_refusal(unit: str, seconds: float) -> str:
    """Return why waiting longer does not help an agent to join, by its last errors; "" if it may still join."""
    if seconds < REFUSED_SECONDS:
        return ""
    errors = "\n".join(_errors(unit)[-2:])
    if "401 Unauthorized" in errors:
        return (
            "the servers refuse its token; run site again to read the current one, or correct k3s_join_token, "
            "which the servers keep in server/agent-token of their data directory"
        )
    if "token CA hash does not match" in errors:
        return (
            "the servers have another certificate authority than its token names: "
            "the token belongs to another cluster, or the servers were rebuilt"
        )
    if "Node password rejected" in errors:
        return (
            "the cluster already has another machine with this name; "
            "delete that Node, or give this machine another name (kube_node_name)"
        )
    if seconds > UNREACHED_SECONDS and _servers_unreached(unit, errors):
        text = "no server answers at `server:` in %s; check that address and the network between the two machines"
        return text % paths.K3S_CONFIG
    return ""


def _unreached_address(unit: str) -> str:
    """Return a line about the last address of another machine that K3s or its etcd could not connect to, or ""."""
    found = _NO_CONNECTION.findall("\n".join(_errors(unit)))
    if not found:
        return ""
    text = "It cannot connect to %s (%s). Start what listens there, or open the port between the two machines.\n"
    return text % found[-1]


def _servers_unreached(unit: str, errors: str) -> bool:
    return bool(_UNREACHED.search(errors) or _BALANCER_CLOSED.search(services.here().log(unit, 3)))


def _errors(unit: str) -> list[str]:
    """Return the errors that the service logged last, each once."""
    wanted = re.compile(r"level=(fatal|error)|^E\d|FATA|ERRO|ailed|rejected")
    lines = [line[:400] for line in services.here().log(unit, 60).splitlines() if wanted.search(line)]
    return list(dict.fromkeys(re.sub(r"^time=\S+ ", "", line) for line in lines))


def last_errors(unit: str, count: int = 4) -> str:
    """Return the last errors that the service logged, each once, without secrets."""
    return masked_message("\n".join(_errors(unit)[-count:]))
