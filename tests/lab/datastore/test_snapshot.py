# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of the lab's real etcd: saved, proved by a scratch etcd, changed, and restored. Needs no node."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api import tls
from ansible_collections.kubewright.cluster.plugins.module_utils.api.etcd import Etcd
from ansible_collections.kubewright.cluster.plugins.module_utils.backup import (
    etcd_file,
    k3s_etcd,
    make,
    scratch,
    snapshot,
)
from ansible_collections.kubewright.cluster.plugins.module_utils.restore import start
from ansible_collections.kubewright.cluster.plugins.module_utils.restore.parts import EACH_SECOND, LEAST, Parts

CACHE = Path(os.environ.get("KUBEWRIGHT_CACHE") or Path.home() / ".cache" / "kubewright")
PROGRAMS = sorted(path.parent for path in CACHE.glob("build/etcd/*/*/etcdutl"))
OBJECTS = 300
# Of an archive that is a minute old.
RAISED = LEAST + 60 * EACH_SECOND


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """The certificates of a control plane's etcd."""
    place = tmp_path_factory.mktemp("pki")
    openssl("req", "-x509", *NEW, "-subj", "/CN=etcd-ca", "-keyout", place / "ca.key", "-out", place / "ca.crt")
    (place / "names").write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
    for name in ("server", "peer", "healthcheck-client"):
        openssl("req", *NEW, "-subj", "/CN=" + name, "-keyout", place / (name + ".key"), "-out", place / "request")
        signer = ["-CA", place / "ca.crt", "-CAkey", place / "ca.key", "-CAcreateserial", "-extfile", place / "names"]
        openssl("x509", "-req", "-in", place / "request", *signer, "-out", place / (name + ".crt"))
    return str(place) + "/"


NEW = ("-newkey", "rsa:2048", "-nodes")


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module", params=PROGRAMS, ids=lambda path: path.parent.name)
def programs(request):
    """Each version of etcd that the lab has."""
    return request.param


@pytest.fixture(scope="module")
def client(programs, pki, tmp_path_factory):
    """An etcd with the objects of a small cluster."""
    url = "https://127.0.0.1:%d" % free_port()
    argv = [programs / "etcd", "--data-dir", tmp_path_factory.mktemp("etcd"), "--log-level", "error"]
    argv += ["--listen-client-urls", url, "--advertise-client-urls", url, "--client-cert-auth", "--unsafe-no-fsync"]
    argv += ["--listen-peer-urls", "http://127.0.0.1:%d" % free_port(), "--trusted-ca-file", pki + "ca.crt"]
    argv += ["--cert-file", pki + "server.crt", "--key-file", pki + "server.key"]
    context = tls.from_files(pki + "ca.crt", pki + "healthcheck-client.crt", pki + "healthcheck-client.key")
    with subprocess.Popen(list(map(str, argv))) as process:
        made = Etcd([url], context, timeout=30)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(*tls.NO_ANSWER):
                made.members()
                break
        for number in range(OBJECTS):
            put(made, "/registry/configmaps/default/c%d" % number, os.urandom(500))
        put(made, "/registry/secrets/default/s", b"k8s:enc:aescbc:v1:key1:text")
        yield made
        process.kill()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def put(client, key, value):
    body = {"key": base64.b64encode(key.encode()).decode(), "value": base64.b64encode(value).decode()}
    client.ask(client.servers[0], "/v3/kv/put", json.dumps(body))


def compact(client):
    revision = snapshot.contents(client)["revision"]
    client.ask(client.servers[0], "/v3/kv/compaction", json.dumps({"revision": str(revision), "physical": True}))


@pytest.fixture
def tools(monkeypatch, programs, pki):
    """The tools of the lab in place of those of an image, and the certificates in place of a control plane's."""
    made = scratch.Tools(str(programs))

    @contextlib.contextmanager
    def mounted(_image, _work):
        yield made

    serving = scratch.serving
    monkeypatch.setattr(scratch, "tools", mounted)
    monkeypatch.setattr(scratch, "serving", lambda own, data: serving(own, data, pki))
    return made


def test_a_snapshot_is_proved_and_nothing_runs_on(client, tools, tmp_path):
    path = str(tmp_path / "s.db")
    found = make.saved(str(tmp_path), path, client)
    assert found["counts"] == {"configmaps": OBJECTS, "secrets": 1} and found["first_secret"].startswith(b"k8s:enc:")
    assert found["size"] == os.path.getsize(path) and not (tmp_path / "scratch").exists()
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "--name scratch" not in listed


def test_a_changed_value_is_found_by_its_hash(client, tools, tmp_path):
    path, since = str(tmp_path / "s.db"), snapshot.revision(client)
    snapshot.save(client, path)
    data = (tmp_path / "s.db").read_bytes()[: -snapshot.DIGEST]
    changed = data.replace(b"k8s:enc:aescbc", b"abc:enc:aescbc")
    (tmp_path / "s.db").write_bytes(changed + hashlib.sha256(changed).digest())
    with pytest.raises(snapshot.SnapshotError, match="other contents"):
        make.verified(str(tmp_path), path, client, since)


def test_an_old_snapshot_is_not_taken_for_a_new_one(client, tools, tmp_path):
    path = str(tmp_path / "s.db")
    snapshot.save(client, path)
    put(client, "/registry/configmaps/default/c0", b"newer")
    with pytest.raises(snapshot.SnapshotError, match="behind the others"):
        make.verified(str(tmp_path), path, client, snapshot.revision(client))


def test_after_a_compaction_another_snapshot_is_saved(client, tools, tmp_path, monkeypatch):
    path, save = str(tmp_path / "s.db"), snapshot.save
    saved = []

    def and_compact(asked, target):
        saved.append(save(asked, target))
        if len(saved) == 1:
            put(client, "/registry/configmaps/default/c0", b"after the snapshot")
            compact(client)
            put(client, "/registry/configmaps/default/c0", b"after the compaction")

    monkeypatch.setattr(snapshot, "save", and_compact)
    assert make.saved(str(tmp_path), path, client)["counts"]["configmaps"] == OBJECTS and len(saved) == 2


def test_restored_data_begin_after_all_that_clients_have_seen(client, tools, tmp_path, monkeypatch):
    place = tmp_path / "var/lib/kubewright/restore-a/etcd"
    place.mkdir(parents=True)
    found = make.saved(str(tmp_path), str(place / "snapshot.db"), client)
    data = (place / "snapshot.db").read_bytes()
    row = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    manifest = {"parts": {make.SNAPSHOT: row}, "datastore": found, "created": "2026-11-29T23:59:00Z"}
    monkeypatch.setattr(start.First, "_image", lambda _self, _config: "etcd")
    monkeypatch.setattr(start.images, "pull", lambda _runner, _names, _timeout: [])
    first = start.First("cp-1", Parts("a", manifest, str(tmp_path)), manifest, str(tmp_path))
    first.prepare("127.0.0.1", "", "20261130T000000Z", 60)
    with scratch.serving(tools, first.built) as restored:
        assert snapshot.contents(restored, found["revision"] + RAISED)["counts"] == found["counts"]
        with pytest.raises(ValueError, match="compacted"):
            snapshot.contents(restored, found["revision"])
        assert snapshot.revision(restored) >= found["revision"] + RAISED
        assert restored.cluster_id != client.cluster_id
        assert [member["name"] for member in restored.members()] in (["cp-1"], ["scratch"])


# -- without etcd's programs, as on K3s's nodes ------------------------------------------------------------------------


def test_a_snapshot_is_proved_from_its_file(client, tmp_path):
    path = str(tmp_path / "s.db")
    put(client, "/registry/secrets/default/s", b"k8s:enc:aescbc:v1:key1:newer")
    compact(client)
    put(client, "/registry/configmaps/default/c0", b"after the compaction")
    made = k3s_etcd.saved(path, client)
    assert made.store["counts"] == {"configmaps": OBJECTS, "secrets": 1} and made.opens == []
    assert made.first_secret == b"k8s:enc:aescbc:v1:key1:newer" and made.store["compact_revision"] > 1
    data = (tmp_path / "s.db").read_bytes()[: -snapshot.DIGEST]
    changed = data.replace(b"k8s:enc:aescbc", b"abc:enc:aescbc")
    (tmp_path / "s.db").write_bytes(changed + hashlib.sha256(changed).digest())
    with pytest.raises(snapshot.SnapshotError, match="other contents"):
        k3s_etcd.verified(path, client, made.store["revision"])


def test_a_snapshot_of_a_higher_revision_is_restored(client, tools, tmp_path):
    """By etcdutl without options, as K3s does it."""
    path, target, data = (str(tmp_path / name) for name in ("s.db", "bumped.db", "data"))
    found = k3s_etcd.saved(path, client).store
    assert etcd_file.bumped(path, target, RAISED) == found["revision"] + RAISED
    tools.restore(target, data, [])
    for _start in range(2):  # the second one after etcd has finished the compaction
        with scratch.serving(tools, data) as restored:
            assert snapshot.contents(restored, found["revision"] + RAISED)["counts"] == found["counts"]
            with pytest.raises(ValueError, match="compacted"):
                snapshot.contents(restored, found["revision"])
            assert snapshot.revision(restored) == found["revision"] + RAISED
            time.sleep(1)
