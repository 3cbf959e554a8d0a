# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node does for a backup: the snapshot from etcd's gateway, what is in it, and the files beside it."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import os
import random
import stat
import tarfile
import threading

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.api.etcd import Etcd
from ansible_collections.kubewright.cluster.plugins.module_utils.backup import kubeadm, make, scratch, snapshot

DATABASE = random.Random(1).randbytes(40 * snapshot.BLOCK)
WHOLE = DATABASE + hashlib.sha256(DATABASE).digest()
KEYS = {
    "/registry/apiregistration.k8s.io/apiservices/v1.": b"x",
    "/registry/configmaps/default/a": b"x",
    "/registry/configmaps/default/b": b"x",
    "/registry/configmapsextra/default/b": b"x",
    "/registry/example.com/widgets/default/w": b"x",
    "/registry/example.com/gadgets/default/g": b"x",
    "/registry/secrets/default/s": b"k8s:enc:aescbc:v1:key1:...",
    "/registry/services/endpoints/default/kubernetes": b"x",
    "/registry/services/specs/default/kubernetes": b"x",
    "/registry/health": b"x",
    "compact_rev_key": b"7",
}


class Gateway(http.server.BaseHTTPRequestHandler):
    """etcd's JSON gateway with a snapshot and some keys."""

    answer = WHOLE
    error: dict[str, str] | None = None

    def log_message(self, *_arguments):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = self._snapshot() if self.path == snapshot.SNAPSHOT else json.dumps(self._keys(asked)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _snapshot(self):
        pieces = [self.answer[at : at + 10_000] for at in range(0, len(self.answer), 10_000)]
        rows = [{"result": {"blob": base64.b64encode(piece).decode()}} for piece in pieces]
        rows += [{"error": self.error}] if self.error else []
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)

    @staticmethod
    def _keys(asked):
        begin, end = (base64.b64decode(asked.get(name, "")).decode() for name in ("key", "range_end"))
        found = sorted(key for key in KEYS if key >= begin and (key < end or end == "\0"))
        rows = [
            {"key": base64.b64encode(key.encode()).decode(), "value": base64.b64encode(KEYS[key]).decode()}
            for key in found
        ]
        return {"header": {"revision": "42"}, "count": str(len(found)), "kvs": rows[: asked.get("limit")]}


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setattr(Gateway, "error", None)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Etcd(["http://127.0.0.1:%d" % server.server_port], None)
    server.shutdown()
    server.server_close()


def test_a_snapshot_is_written_for_root_only(client, tmp_path):
    path = str(tmp_path / "s.db")
    assert snapshot.save(client, path) == len(WHOLE)
    assert (tmp_path / "s.db").read_bytes() == WHOLE and stat.S_IMODE(os.stat(path).st_mode) == 0o600


@pytest.mark.parametrize("wrong", [WHOLE[:-1], WHOLE[: -snapshot.BLOCK], b"", b"\1" + WHOLE[1:]])
def test_a_snapshot_that_is_not_whole_is_refused(client, tmp_path, monkeypatch, wrong):
    monkeypatch.setattr(Gateway, "answer", wrong)
    with pytest.raises(snapshot.SnapshotError):
        snapshot.save(client, str(tmp_path / "s.db"))


def test_an_error_in_the_middle_of_a_snapshot_is_passed_on(client, tmp_path, monkeypatch):
    monkeypatch.setattr(Gateway, "error", {"message": "member stopped"})
    with pytest.raises(snapshot.SnapshotError, match="member stopped"):
        snapshot.save(client, str(tmp_path / "s.db"))


def test_objects_are_counted_by_kind(client):
    assert snapshot.revision(client) == 42
    found = snapshot.contents(client)
    assert found["revision"] == 42 and found["keys"] == len(KEYS)
    assert found["counts"] == {
        "apiregistration.k8s.io/apiservices": 1,
        "configmaps": 2,
        "configmapsextra": 1,
        "example.com/gadgets": 1,
        "example.com/widgets": 1,
        "health": 1,
        "secrets": 1,
        "services/endpoints": 1,
        "services/specs": 1,
    }
    assert snapshot.first_value(client, "secrets") == KEYS["/registry/secrets/default/s"]
    assert snapshot.first_value(client, "pods") == b""


MANIFEST = """apiVersion: v1
spec:
  containers:
  - command:
    - kube-apiserver
    - --admission-control-config-file=/inside/admission.yaml
    - --audit-policy-file=/etc/audit/policy.yaml
    - --client-ca-file=/etc/kubernetes/pki/ca.crt
    - --encryption-provider-config=/etc/kubernetes/enc/keys.yaml
    - --kubelet-client-key=/etc/kubernetes/pki/apiserver-kubelet-client.key
    - --missing=/etc/missing
    volumeMounts:
    - mountPath: /etc/kubernetes/enc
      name: enc
      readOnly: true
    - mountPath: /inside
      name: admission
  volumes:
  - hostPath:
      path: /etc/kubernetes/enc
      type: DirectoryOrCreate
    name: enc
  - hostPath:
      path: /srv/admission
    name: admission
"""


@pytest.fixture
def root(tmp_path):
    files = {
        "/etc/kubernetes/manifests/kube-apiserver.yaml": MANIFEST,
        "/srv/admission/admission.yaml": "a",
        "/etc/audit/policy.yaml": "b",
        "/etc/kubernetes/enc/keys.yaml": "kind: EncryptionConfiguration\n- name: key1\n  secret: QUJD\n",
        "/etc/kubernetes/pki/ca.crt": "c",
        "/etc/kubernetes/pki/apiserver-kubelet-client.key": "d",
        "/etc/kubernetes/pki/sa.pub": "e",
        "/etc/kubernetes/pki/etcd/ca.key": "f",
        "/etc/kubernetes/pki/etcd/server.key": "g",
    }
    for path, text in files.items():
        target = tmp_path / path[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return str(tmp_path)


def test_files_of_the_user_are_found_where_they_are_on_the_host(root):
    found = kubeadm.mounted_files(root)
    paths = ["/etc/audit/policy.yaml", "/etc/kubernetes/enc/keys.yaml", "/srv/admission/admission.yaml"]
    assert [part.place for part in found] == paths
    assert [part.name for part in found] == ["files" + path for path in paths]


def test_authorities_are_saved_and_certificates_made_by_them_are_not(root):
    found = kubeadm.keys(root)
    assert [part.name for part in found.parts] == ["pki/ca.crt", "pki/etcd/ca.key", "pki/sa.pub"]
    assert found.missing == [
        "/etc/kubernetes/pki/" + name
        for name in ("ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "etcd/ca.crt", "sa.key")
    ]


def test_the_key_that_encrypts_secrets_must_be_in_a_file(root):
    files = kubeadm.mounted_files(root)
    assert kubeadm.encryption(b"k8s\0plain", files) == {}
    known = kubeadm.encryption(b"k8s:enc:aescbc:v1:key1:...", files)
    assert known == {"provider": "aescbc", "key": "key1", "known": True}
    assert not kubeadm.encryption(b"k8s:enc:aescbc:v1:key:...", files)["known"]
    assert not kubeadm.encryption(b"k8s:enc:secretbox:v1:key2:...", files)["known"]
    with pytest.raises(make.BackupError, match="encrypted with the key key,"):
        make.refuse_unknown_key(kubeadm.encryption(b"k8s:enc:aescbc:v1:key:...", files))
    for fine in (b"k8s\0plain", b"k8s:enc:aescbc:v1:key1:...", b"k8s:enc:kms:v2:elsewhere:..."):
        make.refuse_unknown_key(kubeadm.encryption(fine, files))


def test_a_key_of_another_certificate_is_found(tmp_path):
    files = {}
    for name in ("one", "two"):
        os.system(  # noqa: S605
            "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=%s -keyout %s/%s.key -out %s/%s.crt 2>/dev/null"
            % (name, tmp_path, name, tmp_path, name)
        )
        files[name] = (str(tmp_path / (name + ".crt")), str(tmp_path / (name + ".key")))

    def parts(certificate, key):
        return [kubeadm.Part("pki/ca.crt", files[certificate][0], ""), kubeadm.Part("pki/ca.key", files[key][1], "")]

    assert kubeadm.wrong_keys(parts("one", "one")) == []
    assert len(kubeadm.wrong_keys(parts("one", "two"))) == 1
    assert kubeadm.wrong_keys(parts("one", "one")[:1]) == []  # an authority whose key is elsewhere


def test_nothing_is_left_of_a_backup_that_failed(tmp_path):
    with pytest.raises(ValueError), make.workplace(str(tmp_path)) as place:
        assert stat.S_IMODE(os.stat(place).st_mode) == 0o700
        raise ValueError
    assert os.listdir(str(tmp_path) + make.PLACES) == []
    with make.workplace(str(tmp_path)) as place:
        pass
    assert os.path.isdir(place)
    with make.workplace(str(tmp_path)) as second:
        assert not os.path.exists(place) and os.path.isdir(second)
    make.clean(str(tmp_path))
    assert os.listdir(str(tmp_path) + make.PLACES) == []


def test_the_archive_has_digests_of_all_parts(tmp_path):
    source = tmp_path / "x"
    source.write_bytes(b"content")
    os.chmod(source, 0o640)
    manifest = {"format": make.FORMAT}
    made = make.pack(str(tmp_path / "a.tar.gz"), manifest, [kubeadm.Part("files/x", str(source), "/x")], {"t": "text"})
    assert stat.S_IMODE(os.stat(made["path"]).st_mode) == 0o600 and made["size"] == os.path.getsize(made["path"])
    row = manifest["parts"]["files/x"]
    assert (row["path"], row["mode"], row["size"]) == ("/x", "0640", 7)
    assert row["sha256"] == hashlib.sha256(b"content").hexdigest()
    with tarfile.open(made["path"]) as tar:
        assert tar.getnames() == [make.MANIFEST, "t", "files/x"]
        assert json.load(tar.extractfile(make.MANIFEST)) == manifest
        assert {entry.mode for entry in tar} == {0o600}


def test_what_a_killed_run_mounted_is_unmounted_before_its_directory_goes(tmp_path, monkeypatch):
    image = tmp_path / "var/lib/kubewright/backup-x/image"
    image.mkdir(parents=True)
    ran = []
    monkeypatch.setattr(os.path, "ismount", lambda path: path == str(image))
    monkeypatch.setattr(scratch.commands, "run", lambda argv, **_more: ran.append(argv[-4:]))
    make.clean(str(tmp_path))
    assert ran == [["images", "unmount", "--rm", str(image)]] and not image.parent.exists()
