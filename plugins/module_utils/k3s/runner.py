# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running K3s on a node: tokens, start, and the wait for it to serve. Standard library only.

Tokens and what they are for: https://docs.k3s.io/cli/token
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import tempfile
import time

from ..api import kubernetes as kube_api
from ..node import ownership as owned, services
from ..node.services import command
from . import datastore as k3s_datastore

DIRECTORY = "/etc/rancher/k3s"
PROGRAM = "/usr/local/bin/k3s"
SELINUX = "/sys/fs/selinux/enforce"
TOKEN = DIRECTORY + "/token"
AGENT_TOKEN = DIRECTORY + "/agent-token"
ADMIN = DIRECTORY + "/k3s.yaml"
AUDIT = DIRECTORY + "/hardening/audit.yaml"
# So often may the service fail before it is given up: a server that waits for its turn as a learner fails now and then.
PATIENCE = 12
# An agent asks again and again with a token that is refused; a server that has just started refuses none for so long.
REFUSED_SECONDS = 30
# A server that restarts is away for less.
UNREACHED_SECONDS = 90
_UNREACHED = re.compile(r"connection refused|no such host|i/o timeout|no route to host")
# An agent asks through its own balancer, which closes the connection: https://github.com/k3s-io/k3s/issues/9748. Only the last lines count,
# for one that got through logs other things.
_UNPASSED = re.compile(r"get CA certs: .*(EOF|connection reset by peer|deadline exceeded)")
# A database that has just been started refuses for a moment what it lets in then.
DATABASE_SECONDS = 12
_SECRET = re.compile(r"K10[0-9a-f]{64}::\S+|\b[0-9a-f]{32,}\b|\b[a-z0-9]{6}\.[a-z0-9]{16}\b|(?<=://)[^\s/@]+(?=@)")


class K3sError(Exception):
    """K3s does not serve; the message says why."""


def read(path):
    """A file's text without white space around it, empty where there is none."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def differs(path, text):
    """Whether a file is to be written: what check mode does in place of it."""
    return read(path) != text


def write(path, text):
    """Write a file of mode 0600 at once. Returns whether it differed."""
    if not differs(path, text):
        return False
    os.makedirs(os.path.dirname(path), exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".kubewright-")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text + "\n")
    os.replace(temporary, path)
    return True


def make_tokens(data_dir, given="", put=write):
    """Tokens of a new cluster, where there are none; those of a cluster that is there are kept. Returns whether any was made.

    given: the servers' token of an earlier cluster, whose datastore is used again. It also takes the place of one that was made at random and that the
    datastore then refused: K3s writes server/token once it is let in. put: write or differs.
    """
    known = password(read(data_dir + "/server/token"))
    given = "" if known else password(given.strip())
    server = given or read(TOKEN) or known or secrets.token_hex(32)
    agent = ("" if given else read(AGENT_TOKEN)) or password(read(data_dir + "/server/agent-token")) or agent_token(server)
    return any([put(TOKEN, server), put(AGENT_TOKEN, agent)])


def agent_token(server):
    """The agents' token of a servers' token, which it does not tell: servers that are rebuilt with the one have the other, and agents stay."""
    return hashlib.pbkdf2_hmac("sha256", server.encode(), b"kubewright.cluster agents", 200000).hex()


def password(token):
    """The secret part of K10<digest>::<user>:<password>."""
    return token.rpartition(":")[2]


def credentials(data_dir, forget, ttl="", program=PROGRAM):
    """What others join with: {server, agent} whole tokens, which name the authority too, and agent_token, the secret that all servers share.

    ttl: how long the agents' token lives, which is then made for them by the program; empty for the lasting one.

    forget: names of nodes that the API knows and that come back without their data; the password that K3s keeps of each is taken away, or it
    would be refused: https://docs.k3s.io/architecture#how-agent-node-registration-works
    """
    server = read(data_dir + "/server/token")
    if not server:
        raise K3sError("%s/server/token is missing: this is no running server" % data_dir)
    api = kube_api.Api([kube_api.local_server()], ADMIN)
    for name in forget:
        api.delete("/api/v1/namespaces/kube-system/secrets/%s.node-password.k3s" % name)
        api.delete("/api/v1/nodes/" + name)
    secret = read(AGENT_TOKEN)
    digest = server.partition("::")[0]
    agent = "%s::node:%s" % (digest, password(secret)) if secret and digest.startswith("K10") else server
    return {"server": server, "agent": bootstrap_token(program, ttl) if ttl else agent, "agent_token": password(secret)}


def bootstrap_token(program, ttl):
    """A new token that lives so long: https://docs.k3s.io/cli/token#k3s-token-create"""
    status, output = command(program, "token", "create", "--ttl", ttl, "--description", "agents that join by kubewright.cluster")
    found = re.search(r"^(?:K10[0-9a-f]{64}::)?[a-z0-9]{6}\.[a-z0-9]{16}$", output, re.M)
    if status or not found:
        raise K3sError("k3s token create failed: %s" % masked(output.strip()[-400:]))
    return found.group(0)


def unpack(program, data_dir):
    """Let the program unpack what it carries, which each of its commands that is another's does. Returns whether that was new.

    cmd/k3s/main.go (extract). Where it fails, the start says so in K3s's own words.
    """

    def there():
        return set(os.listdir(data_dir + "/data")) if os.path.isdir(data_dir + "/data") else set()

    known = there()
    command(program, "crictl", "--version", timeout=300)
    return there() != known


def install(script, role, makes, perhaps):
    """Run upstream's install script, which leaves a service that is neither enabled nor started yet; what it leaves is noted as ours before.

    makes: paths that it always writes; perhaps: those that it writes where nothing is there. Its variables:
    https://docs.k3s.io/reference/env-variables
    """
    record = owned.read()
    for path in makes:
        owned.keep_former(path, record)
    new = [path for path in perhaps if not os.path.lexists(path)]
    record["files"].update({path: {"backup": None} for path in new})
    owned.write(record)
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "INSTALL_K3S_EXEC": role,
        "INSTALL_K3S_SKIP_DOWNLOAD": "true",
        "INSTALL_K3S_SKIP_ENABLE": "true",
    }
    kept = {path: read(path) for path in perhaps if path not in new and not os.path.islink(path) and path.endswith(".env")}
    status, output = command("sh", script, timeout=120, environment=environment)
    for path, content in kept.items():
        write(path, content)  # ours: the script makes it anew from its own environment
    for path in new:
        if not os.path.lexists(path):
            del record["files"][path]
    owned.write(record)
    if status:
        raise K3sError("K3s's install script failed: %s" % masked("\n".join(output.strip().splitlines()[-4:])))


def convert(unit, data_dir):
    """Make the backup that comes before SQLite is converted, which K3s does when it starts next. Returns its path; empty where all is in etcd already."""
    if not k3s_datastore.pending(data_dir):
        return ""
    place = k3s_datastore.back_up(data_dir, lambda: stop(unit))
    if os.path.exists(data_dir + "/server/db/etcd"):
        stop(unit)
        k3s_datastore.set_aside(data_dir)
    return place


def stop(unit):
    """Stop the service, and wait for it."""
    status, output = services.here().stop(unit)
    if status:
        raise K3sError("%s does not stop: %s" % (unit, output.strip()))


def label(data_dir):
    """Give what was written before K3s's SELinux policy was there the labels that it wants (setup_selinux in upstream's install.sh)."""
    if os.path.exists(SELINUX):
        places = [PROGRAM, DIRECTORY, *(data_dir + part for part in ("/agent/etc", "/agent/images", "/server/manifests"))]
        command("restorecon", "-R", "-i", *places, "/etc/systemd/system/k3s.service", "/etc/systemd/system/k3s-agent.service")


def keep_private(data_dir):
    """A server's directory for root alone, as K3s makes it, whoever made it; and that of the hardened profile's log.

    pkg/daemons/control/server.go (prepare),
    https://docs.k3s.io/security/hardening-guide#api-server-audit-configuration
    """
    for part in ["/server"] + (["/server/logs"] if os.path.exists(AUDIT) else []):
        os.makedirs(data_dir + part, mode=0o700, exist_ok=True)
        os.chmod(data_dir + part, 0o700)


def start(unit, again, data_dir):
    """Start the service, or start it anew, and at boot. It is not waited for: K3s says for itself when it serves."""
    if unit == "k3s":
        keep_private(data_dir)
    label(data_dir)
    status, output = services.here().start(unit, again)
    if status:
        raise K3sError("%s: %s" % (unit, output.strip()))


def wait(unit, problem_of, server, timeout, database=""):
    """Wait until the node serves. K3sError with its own last words where it does not in time, or fails again and again.

    problem_of: says why it does not serve yet, empty when it does. database: the external one in words, which may refuse.
    """
    began = time.monotonic()
    deadline = began + timeout
    manager = services.here()
    before = manager.restarts(unit)
    told = set(manager.log(unit, 60).splitlines()) if database else set()
    while True:
        problem = problem_of()
        if not problem:
            return
        waited = time.monotonic() - began
        hopeless = _refused(unit, waited, database, told) if server else _hopeless(unit, waited)
        if hopeless:
            raise K3sError("%s: %s\n%s" % (unit, hopeless, last_words(unit)))
        failures = manager.restarts(unit) - before
        if time.monotonic() > deadline or failures > PATIENCE:
            span = "%d starts" % failures if failures > PATIENCE else "%d s" % timeout
            raise K3sError("%s does not serve after %s: %s\n%s" % (unit, span, problem, last_words(unit)))
        time.sleep(0.5)


def _refused(unit, seconds, database, told):
    """Why an external database does not let K3s in, and the way out; empty where nothing says so. told: lines of the log from before."""
    if not database or seconds < DATABASE_SECONDS:
        return ""
    way_out = k3s_datastore.refusal([line for line in services.here().log(unit, 30).splitlines() if line not in told])
    return way_out and "its datastore, %s: %s" % (database, way_out)


def _hopeless(unit, seconds):
    """What will not mend by itself, by the agent's last words; empty where it may."""
    if seconds < REFUSED_SECONDS:
        return ""
    words = last_words(unit, 2)
    if "401 Unauthorized" in words:
        return (
            "the servers refuse its token; run site again, which reads it anew, or mend k3s_join_token: "
            "it is in server/agent-token of their data directory"
        )
    if "token CA hash does not match" in words:
        return "the servers have another authority than its token names: it is of another cluster, or they were set up anew"
    if "Node password rejected" in words:
        return "the cluster has another machine of this name, or had; delete that Node, or give this one another name (kube_node_name)"
    if seconds > UNREACHED_SECONDS and (_UNREACHED.search(words) or _UNPASSED.search(services.here().log(unit, 3))):
        return "no server answers where its configuration says; see `server:` in %s/config.yaml, and what lies between" % DIRECTORY
    return ""


def last_words(unit, count=4):
    """The last errors that the service logged, each once, secrets masked."""
    lines = [line[:400] for line in services.here().log(unit, 60).splitlines() if re.search(r"level=(fatal|error)|^E\d|FATA|ERRO|ailed|rejected", line)]
    told = {re.sub(r"^time=\S+ ", "", line): None for line in lines}
    return masked("\n".join(list(told)[-count:]))


def masked(text):
    """The text without tokens."""
    return _SECRET.sub("********", text)
