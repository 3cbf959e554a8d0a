# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives at a real S3 server, at a real SSH server and in a directory: kept, damaged, refused, cut, and deleted."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.destinations import places, s3, sftp
from ansible_collections.kubewright.cluster.plugins.module_utils.node.downloads import sha256

START = "prod-12345678-"


def name_of(day):
    return "%s202611%02dT120000Z.tar.gz" % (START, day)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(s3, "PAUSES", (0.0,))


@pytest.fixture
def bucket(s3_server):
    """An empty bucket."""
    made = s3.Bucket(s3_server.settings)
    with contextlib.suppress(Exception):
        made._open("PUT", made._base).close()
    made.delete(made.names(""))
    return made


@pytest.fixture
def server(ssh_server, tmp_path):
    return sftp.Server({**ssh_server.settings, "path": str(tmp_path / 'a "b" *c')})


@pytest.fixture(params=["s3", "sftp", "directory"])
def place(request, tmp_path):
    if request.param == "directory":
        return places.Directory(str(tmp_path / "mounted"))
    return request.getfixturevalue({"s3": "bucket", "sftp": "server"}[request.param])


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "archive"
    path.write_bytes(os.urandom(3 << 20))
    return str(path)


def test_an_archive_is_kept_and_comes_back(place, archive, tmp_path):
    assert places.keep(place, archive, name_of(1), START, 2) == []
    place.fetch(name_of(1), str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == Path(archive).read_bytes()
    assert place.names("") == [name_of(1)] or sorted(place.names(""))[-1] == name_of(1)


def test_only_older_archives_of_the_cluster_go(place, archive):
    others = ["prod-99999999-20260101T120000Z.tar.gz", START + "20260101T120000Z.tar.gz.old"]
    for name in [*others, name_of(1), name_of(2), name_of(9)]:
        place.put(archive, name, sha256(archive), "." + name + ".partial")
    assert places.keep(place, archive, name_of(3) + ".age", START, 2) == [name_of(1), name_of(2)]
    left = sorted(name for name in place.names("prod-"))
    assert left == sorted([*others, name_of(3) + ".age", name_of(9)])
    assert places.keep(place, archive, name_of(4), START, 0) == []


def test_nothing_goes_if_the_listing_fails_or_is_empty(place, archive, monkeypatch):
    for name in (name_of(1), name_of(2)):
        place.put(archive, name, sha256(archive), "." + name + ".partial")
    listing, deleted = type(place).names, []
    monkeypatch.setattr(type(place), "delete", lambda _self, names: deleted.extend(names))
    monkeypatch.setattr(type(place), "names", lambda _self, _start: [])
    with pytest.raises(places.PlaceError) as found:
        places.keep(place, archive, name_of(3), START, 1)
    assert found.value.id == "destination.listing" and not deleted
    monkeypatch.setattr(type(place), "names", listing)
    assert len(place.names(START)) == 3


def test_what_is_not_what_was_sent_does_not_stay(place, archive):
    with pytest.raises(places.PlaceError) as found:
        place.put(archive, name_of(1), "0" * 64, "." + name_of(1) + ".partial")
    assert place.names("") == [] or all("prod" not in name for name in place.names(""))
    # An S3 server finds it itself: the digest is part of the signed request.
    assert found.value.id in ("destination.damaged", "destination.refused")


def test_s3_compares_what_is_read_back(bucket, archive, monkeypatch):
    monkeypatch.setattr(s3.Bucket, "_digest", lambda _self, _name: "1" * 64)
    with pytest.raises(places.PlaceError) as found:
        places.keep(bucket, archive, name_of(1), START, 1)
    assert found.value.id == "destination.damaged" and bucket.names("") == []


@pytest.mark.parametrize(
    "change, kind",
    [
        ({"secret_key": "wrong"}, "denied"),
        ({"access_key": "nobody"}, "refused"),  # AWS: 403, this server: 404
        ({"bucket": "missing"}, "refused"),
        ({"ca": ""}, "not_trusted"),
        ({"ca": "no certificate"}, "settings"),
        ({"endpoint": "https://127.0.0.1:1"}, "unreachable"),
    ],
)
def test_refusals_of_s3(s3_server, bucket, archive, change, kind):
    with pytest.raises(places.PlaceError) as found:
        places.keep(s3.Bucket({**s3_server.settings, **change}), archive, name_of(1), START, 1)
    assert found.value.id == "destination." + kind, str(found.value)
    assert s3_server.settings["secret_key"] not in str(found.value) and bucket.names("") == []


def test_refusals_of_ssh(ssh_server, archive, tmp_path):
    settings = {**ssh_server.settings, "path": str(tmp_path / "x")}
    for change, kind in (
        ({"key": ssh_server.other_key}, "denied"),
        ({"known_hosts": ssh_server.other_host}, "host_key"),
        ({"known_hosts": "other ssh-ed25519 AAAA"}, "host_key"),
        ({"port": 1}, "unreachable"),
        ({"path": "/proc/none"}, "refused"),
    ):
        with pytest.raises(places.PlaceError) as found:
            places.keep(sftp.Server({**settings, **change}), archive, name_of(1), START, 1)
        assert found.value.id == "destination." + kind, str(found.value)
    assert not (tmp_path / "x").exists()


def test_more_archives_than_one_page_has(bucket, archive, monkeypatch):
    for day in range(1, 6):
        bucket.put(archive, name_of(day), sha256(archive), "")
    page = s3.Bucket._page
    monkeypatch.setattr(s3.Bucket, "_page", lambda self, query: page(self, query + "&max-keys=2"))
    assert places.keep(bucket, archive, name_of(6), START, 3) == [name_of(day) for day in (1, 2, 3)]


class Cutting:
    """Pass a connection on to a server, and cut it after some bytes."""

    def __init__(self, port, count):
        self._target, self._count = port, count
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._pass, args=(server, client, 1 << 40), daemon=True).start()
                threading.Thread(target=self._pass, args=(client, server, self._count), daemon=True).start()

    @staticmethod
    def _pass(source, target, count):
        with contextlib.suppress(OSError):
            while count > 0 and (data := source.recv(1 << 16)):
                target.sendall(data)
                count -= len(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._listener.close()


def test_an_upload_that_is_cut_leaves_nothing_that_counts(ssh_server, s3_server, bucket, archive, tmp_path):
    target = tmp_path / "x"
    settings = {**ssh_server.settings, "path": str(target)}
    cut = Cutting(settings["port"], 1 << 20)
    known = settings["known_hosts"].replace(str(settings["port"]), str(cut.port))
    with pytest.raises(places.PlaceError) as found:
        places.keep(sftp.Server({**settings, "port": cut.port, "known_hosts": known}), archive, name_of(1), START, 1)
    cut.close()
    assert found.value.id == "destination.unreachable"
    assert os.listdir(target) == [".%s.partial" % name_of(1)]
    # The next run, of another time, takes the rest away.
    assert places.keep(sftp.Server(settings), archive, name_of(2), START, 1) == []
    assert os.listdir(target) == [name_of(2)]
    port = int(s3_server.settings["endpoint"].rpartition(":")[2])
    cut = Cutting(port, 1 << 20)
    broken = s3.Bucket({**s3_server.settings, "endpoint": "https://127.0.0.1:%d" % cut.port})
    with pytest.raises(places.PlaceError) as found:
        places.keep(broken, archive, name_of(1), START, 1)
    cut.close()
    assert found.value.id == "destination.unreachable" and bucket.names("") == []


def test_no_secret_is_an_argument(s3_server, ssh_server, bucket, archive, tmp_path):
    seen, stop = set(), threading.Event()

    def watch():
        while not stop.is_set():
            seen.add(subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout)

    watcher = threading.Thread(target=watch)
    watcher.start()
    places.keep(bucket, archive, name_of(1), START, 1)
    places.keep(sftp.Server({**ssh_server.settings, "path": str(tmp_path / "x")}), archive, name_of(1), START, 1)
    time.sleep(0.2)
    stop.set()
    watcher.join()
    text = "\n".join(seen)
    assert "sftp" in text
    for secret in (s3_server.settings["secret_key"], ssh_server.settings["key"].splitlines()[1]):
        assert secret not in text
