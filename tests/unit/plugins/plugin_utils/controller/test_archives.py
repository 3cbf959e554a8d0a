# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives: each kind of damage has its own message, nothing but whole files get a name, and old ones go last."""

from __future__ import annotations

import gzip
import io
import os
import random
import stat
import tarfile

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.backup import make
from ansible_collections.kubewright.cluster.plugins.module_utils.backup.kubeadm import Part
from ansible_collections.kubewright.cluster.plugins.module_utils.destinations import naming
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import age, archives

TEXTS = {"kubeadm/kubeadm-config.yaml": "clusterName: prod\n"}
PARTS = ("pki/ca.crt", "pki/ca.key", "pki/sa.pub", "etcd/snapshot.db")


def manifest(**more):
    return {
        "format": make.FORMAT,
        "schema": make.SCHEMA,
        "created": "2026-11-29T12:00:00Z",
        "cluster": {
            "name": "prod",
            "uid": "1234567890",
            "ca_sha256": "aa",
            "distribution": "kubeadm",
            "version": "v1.36.3",
        },
        "datastore": {"kind": "etcd", "revision": 7, "counts": {"secrets": 3}},
        **more,
    }


@pytest.fixture
def packed(tmp_path):
    """Make an archive as a node does. Return (its path, its manifest, its SHA-256)."""

    def one(names=PARTS, **more):
        parts = []
        for name in names:
            source = tmp_path / name.replace("/", "_")
            source.write_bytes(random.Random(name).randbytes(100_000))
            parts.append(Part(name, str(source), "/etc/kubernetes/" + name))
        target = tmp_path / ("archive%d.tar.gz" % len(list(tmp_path.glob("archive*"))))
        made = manifest(**more)
        return str(target), made, make.pack(str(target), made, parts, TEXTS)["sha256"]

    return one


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    monkeypatch.setattr(age.Writer.__init__, "__defaults__", (2,))


def received(directory, packed, passphrase="", tamper=bytes):
    path, made, sha256 = packed
    receiver = archives.Receiver(str(directory), passphrase)
    try:
        with open(path, "rb") as stream:
            receiver.write(tamper(stream.read()))
        return receiver.finish(sha256, made)
    finally:
        receiver.discard()


def wrong(path, passphrase=""):
    with pytest.raises(archives.ArchiveError) as found:
        archives.examine(str(path), passphrase)
    assert str(path) in str(found.value)
    return found.value.id.partition(".")[2]


def changed(path, tamper):
    with open(path, "rb") as stream:
        data = tamper(bytearray(stream.read()))
    with open(path, "wb") as stream:
        stream.write(data)
    return path


def flip(data, place=None):
    data[len(data) // 2 if place is None else place] ^= 1
    return data


@pytest.mark.parametrize("passphrase", ["", "secret"])
def test_an_archive_arrives_whole_and_for_its_owner_only(tmp_path, packed, passphrase):
    node = packed()
    path = received(tmp_path / "backups", node, passphrase)
    ending = ".tar.gz.age" if passphrase else ".tar.gz"
    assert os.path.basename(path) == "prod-12345678-20261129T120000Z" + ending
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(tmp_path / "backups").st_mode) == 0o700
    assert archives.examine(path, passphrase) == node[1]
    assert os.listdir(tmp_path / "backups") == [os.path.basename(path)]


def test_what_was_changed_on_its_way_gets_no_name(tmp_path, packed):
    for tamper in (lambda data: data[:-1], lambda data: bytes(flip(bytearray(data)))):
        with pytest.raises(archives.ArchiveError):
            received(tmp_path / "backups", packed(), tamper=tamper)
    assert os.listdir(tmp_path / "backups") == []


@pytest.mark.parametrize("passphrase", ["", "secret"])
def test_each_kind_of_damage_has_its_own_message(tmp_path, packed, passphrase):
    def archive(**more):
        return received(tmp_path / "backups", packed(**more), passphrase)

    assert wrong(changed(archive(), lambda data: data[:-9]), passphrase) == "cut_short"
    assert wrong(changed(archive(), lambda data: data[: len(data) // 2]), passphrase) == "cut_short"
    assert wrong(changed(archive(), flip), passphrase) == "damaged"
    (tmp_path / "x").write_bytes(b"something else" * 1000)
    assert wrong(tmp_path / "x", passphrase) == "not_an_archive"
    (tmp_path / "x").write_bytes(b"")
    assert wrong(tmp_path / "x", passphrase) == "cut_short"


def test_a_flipped_bit_is_found_wherever_it_is(tmp_path, packed):
    path, _made, _sha256 = packed()
    for place in [*range(10), *range(10, os.path.getsize(path), 4001), os.path.getsize(path) - 1]:
        wrong(changed(path, lambda data, here=place: flip(data, here)))
        changed(path, lambda data, here=place: flip(data, here))
    assert archives.examine(path)


def test_passphrases(tmp_path, packed):
    path = received(tmp_path, packed(), "secret")
    assert wrong(path, "other") == "wrong_passphrase"
    assert wrong(path) == "encrypted"
    plain = received(tmp_path, packed())
    assert archives.examine(plain, "secret") == archives.examine(plain)


@pytest.mark.parametrize("schema", [make.SCHEMA + 1, 0, None])
def test_another_format_is_refused(packed, schema):
    assert wrong(packed(schema=schema)[0]) == "schema"
    assert wrong(packed(format="other")[0]) == "not_an_archive"


@pytest.mark.parametrize("name", [*PARTS, *TEXTS])
def test_a_missing_part_is_found_whether_its_manifest_has_it_or_not(tmp_path, packed, name):
    path, made, _sha256 = packed()
    rewrite(path, lambda entry, data: data if entry.name != name else None)
    assert wrong(path) == "missing_part"


def test_a_part_that_a_restore_needs_is_missed_without_the_manifest(packed):
    path, made, _sha256 = packed(names=("pki/ca.crt", "etcd/snapshot.db"))
    assert wrong(path) == "missing_part"


def test_parts_that_were_replaced_or_added_are_found(packed):
    path, _made, _sha256 = packed()
    rewrite(path, lambda entry, data: data if entry.name != "pki/ca.key" else b"x" * len(data))
    assert wrong(path) == "changed_part"
    path, _made, _sha256 = packed()
    with gzip.open(path) as stream, tarfile.open(fileobj=stream) as tar:
        entries = [(entry, tar.extractfile(entry).read()) for entry in tar]
    write(path, [*entries, (tarfile.TarInfo("pki/other.key"), b"")])
    assert wrong(path) == "changed_part"


def rewrite(path, tamper):
    with gzip.open(path) as stream, tarfile.open(fileobj=stream) as tar:
        entries = [(entry, tamper(entry, tar.extractfile(entry).read())) for entry in tar]
    write(path, entries)


def write(path, entries):
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", make.LEVEL, raw, mtime=0) as stream, tarfile.open(
        fileobj=stream, mode="w"
    ) as tar:
        for entry, data in entries:
            if data is not None:
                tar.addfile(entry, io.BytesIO(data))


def test_an_archive_of_another_cluster_is_refused():
    for authority, uid in (("bb", None), (None, "other"), ("aa", "other")):
        with pytest.raises(archives.ArchiveError) as found:
            archives.check_cluster("x", manifest(), authority, uid)
        assert found.value.id == "archive.other_cluster"
    for authority, uid in ((None, None), ("aa", "1234567890"), ("aa", None)):
        archives.check_cluster("x", manifest(), authority, uid)


def test_only_the_oldest_archives_of_this_cluster_go(tmp_path):
    start = naming.prefix(manifest())
    ours = [start + "2026112%dT120000Z.tar.gz%s" % (day, ".age" * (day % 2)) for day in range(1, 6)]
    others = ["prod-99999999-20261101T120000Z.tar.gz", start + "notes.txt", start + "20261101T120000Z.tar.gz.old"]
    for name in ours + others:
        (tmp_path / name).write_text("")
    assert archives.prune(str(tmp_path), start, 0) == []
    gone = archives.prune(str(tmp_path), start, 2)
    assert [os.path.basename(path) for path in gone] == ours[:3]
    assert sorted(os.listdir(tmp_path)) == sorted(ours[3:] + others)


def test_what_a_killed_run_left_goes_after_a_day(tmp_path):
    for name, age_of_it in ((".kubewright-a.partial", 90000), (".kubewright-b.partial", 10)):
        (tmp_path / name).write_text("")
        moment = os.path.getmtime(tmp_path / name) - age_of_it
        os.utime(tmp_path / name, (moment, moment))
    receiver = archives.Receiver(str(tmp_path))
    receiver.discard()
    assert os.listdir(tmp_path) == [".kubewright-b.partial"]


@pytest.mark.parametrize(
    "kind, stored, authority, shown",
    [
        ("sqlite", "server/db/state.db", "server/tls/client-ca.crt", "SQLite"),
        ("etcd", "etcd/snapshot.db", "server/tls/etcd/server-ca.crt", "etcd"),
        ("external", "database/kine.db", "server/tls/client-ca.crt", "MySQL"),
    ],
)
def test_an_archive_of_k3s_needs_its_database_and_its_token(packed, kind, stored, authority, shown):
    parts = (stored, "server/token", "server/tls/server-ca.crt", authority)
    cluster = {**manifest()["cluster"], "distribution": "k3s"}
    store = {"kind": kind, "engine": shown, "revision": 7, "counts": {"secrets": 3}}
    more = {"cluster": cluster, "datastore": store}
    path, made, _sha256 = packed(parts, **more)
    assert archives.described(archives.examine(path)).endswith("3 objects of 1 kinds, %s revision 7" % shown)
    for name in parts:
        assert wrong(packed([other for other in parts if other != name], **more)[0]) == "missing_part"
    other = {**more["datastore"], "kind": "unheard of"}
    assert wrong(packed(parts, cluster=cluster, datastore=other)[0]) == "not_an_archive"
    assert made["parts"]["server/token"]["path"] == "/etc/kubernetes/server/token"
