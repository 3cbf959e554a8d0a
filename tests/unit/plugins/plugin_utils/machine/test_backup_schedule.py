# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program of scheduled backups, which Python really runs, its units and its settings."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import zipfile

from ansible_collections.kubewright.cluster.plugins.module_utils.node import paths
from ansible_collections.kubewright.cluster.plugins.plugin_utils.controller import age
from ansible_collections.kubewright.cluster.plugins.plugin_utils.machine import backup_program, backup_schedule

SECRET = "wJalrXUtnFEMIK7MDENG"
RECIPIENT = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
# Of the key of 32 times 0x42.
IDENTITY = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
TO = [
    {"directory": "/srv/backups", "sftp": None, "s3": None},
    {"s3": {"bucket": "b", "access_key": "A", "secret_key": SECRET, "ca": None}, "sftp": None},
]
# Runs the program in a directory: what is made of the cluster is a stand-in, everything else is the program's own.
DRIVER = """
import contextlib, json, os, sys, time
root, program = sys.argv[1:]
sys.path.insert(0, program)
from kubewright.api.kubernetes import Api
from kubewright.backup import make, make_k3s, scheduled
from kubewright.node import ownership, paths
assert program in scheduled.__file__

class Kept(Api):
    def __init__(self):
        self.patience = 0
    def ask(self, method, path, body=None, patience=None):
        place = root + "/lease.json"
        if method == "GET":
            return (200, open(place).read()) if os.path.exists(place) else (404, "{}")
        body["metadata"]["resourceVersion"] = "1"
        with open(place, "w") as stream:
            json.dump(body, stream)
        return 200, "{}"

def made(name):
    with make.workplace(root) as place:
        path = place + "/archive.tar.gz"
        manifest = {"cluster": {"name": name, "uid": "12345678-9"}, "created": time.strftime("%Y-%m-%dT%H:%M:%SZ")}
        return {**make.pack(path, manifest, [], {"a": "text"}), "manifest": manifest}

make_k3s.of_this_node, scheduled.api, scheduled.OUTGOING = made, Kept, root + "/outgoing"
paths.admin, make.clean = (lambda: program), (lambda root=None: None)
ownership.lock_node = contextlib.nullcontext
sys.exit(scheduled.main([root + "/settings.json"]))
"""


def node(schedule="daily", role="control_plane", **facts):
    backup = {"schedule": schedule, "keep": 7, "to": TO, "recipients": [RECIPIENT]}
    inputs = {"kube_backup": backup, "kube_http_proxy": {}}
    return {"host": "cp-1", "role": role, "inputs": inputs, "info": {"os": {"family": "debian"}, **facts}}


def run(tmp_path, *arguments):
    program = tmp_path / "kube-backup.pyz"
    program.write_bytes(backup_program.content())
    command = [sys.executable, "-I", *(str(argument or program) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)


def test_the_program_has_all_that_it_imports(tmp_path):
    done = run(tmp_path, None, tmp_path / "settings.json")
    assert done.returncode == 1 and done.stderr == ""
    assert "no backup was made" in done.stdout and "settings.json" in done.stdout


def test_the_program_makes_an_archive_sends_it_and_finds_it_the_next_time(tmp_path):
    places = [{"directory": str(tmp_path / name)} for name in ("one", "two")]
    settings = {"cluster": "prod", "schedule": "daily", "keep": 2, "to": places, "proxy": {"no_proxy": []}}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    (tmp_path / "driver.py").write_text(DRIVER)
    first = run(tmp_path, tmp_path / "driver.py", tmp_path, None)
    assert (first.returncode, first.stderr) == (0, ""), first
    names = [[path.name for path in (tmp_path / name).iterdir()] for name in ("one", "two")]
    assert names[0] == names[1] and names[0][0].startswith("prod-12345678-")
    assert (tmp_path / "one" / names[0][0]).stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "outgoing").exists()
    second = run(tmp_path, tmp_path / "driver.py", tmp_path, None)
    assert second.returncode == 0 and names[0][0] in second.stdout and "exists" in second.stdout
    assert len(list((tmp_path / "one").iterdir())) == 1


def test_the_program_encrypts_for_keys_that_it_does_not_have(tmp_path):
    settings = {"cluster": "prod", "schedule": "daily", "keep": 2, "to": [{"directory": str(tmp_path / "one")}]}
    settings.update(proxy={}, recipients=[RECIPIENT])
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    (tmp_path / "driver.py").write_text(DRIVER)
    done = run(tmp_path, tmp_path / "driver.py", tmp_path, None)
    assert (done.returncode, done.stderr) == (0, ""), done
    (path,) = (tmp_path / "one").iterdir()
    assert path.name.endswith(".tar.gz.age")
    with open(path, "rb") as stream:
        packed = b"".join(age.read(stream, IDENTITY))
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.getnames() == ["manifest.json", "a"]


def test_the_program_is_the_same_bytes_each_time():
    first = backup_program.content()
    backup_program.content.cache_clear()
    assert backup_program.content() == first
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        entries = archive.infolist()
    assert all(entry.compress_type == zipfile.ZIP_STORED and entry.date_time[0] == 1980 for entry in entries)
    assert not any("ansible" in name for name in backup_program.modules())


def test_a_control_plane_gets_the_program_and_two_units():
    made = {entry["path"]: entry for entry in backup_schedule.files(node(python={"executable": "/usr/bin/python3.9"}))}
    assert set(made) == {paths.BACKUP_PROGRAM, *paths.BACKUP_UNITS}
    # The plan has the program's digest only.
    assert "content" not in made[paths.BACKUP_PROGRAM] and made[paths.BACKUP_PROGRAM]["mode"] == "0600"
    service, timer = (made[path]["content"] for path in paths.BACKUP_UNITS)
    start = "ExecStart=/usr/bin/python3.9 -I %s %s\n" % (paths.BACKUP_PROGRAM, paths.BACKUP_SETTINGS)
    assert start in service and SECRET not in service
    assert "OnCalendar=*-*-* 00:00:00 UTC\nRandomizedDelaySec=900\nPersistent=true\n" in timer


def test_nothing_without_a_schedule_or_on_a_worker():
    for other in (node(schedule=None), node(role="worker")):
        assert backup_schedule.files(other) == backup_schedule.secret_files(other, {}) == []
        assert backup_schedule.packages(other) == []


def test_the_settings_are_for_root_only_and_have_the_logins():
    one = node()
    one["inputs"]["kube_http_proxy"] = {"https": "http://proxy:3128", "http": None, "no_proxy": [".example.com"]}
    made = backup_schedule.secret_files(one, {"name": "prod", "no_proxy": ["10.0.0.0/8"]})
    (only,) = made
    assert (only["path"], only["mode"], only["secret"]) == (paths.BACKUP_SETTINGS, "0600", True)
    settings = json.loads(made[0]["content"])
    assert settings["to"] == [
        {"directory": "/srv/backups"},
        {"s3": {"bucket": "b", "access_key": "A", "secret_key": SECRET}},
    ]
    assert settings["proxy"] == {"https": "http://proxy:3128", "no_proxy": ["10.0.0.0/8", ".example.com"]}
    assert (settings["cluster"], settings["schedule"], settings["keep"]) == ("prod", "daily", 7)
    assert settings["recipients"] == [RECIPIENT]


def test_programs_are_installed_where_they_are_needed():
    for files, wanted in (({backup_schedule.SFTP: None}, [("sftp", "openssh-client")]), ({}, [])):
        one = node(files=files)
        assert backup_schedule.packages(one) == []
        one["inputs"]["kube_backup"]["to"] = [{"sftp": {"host": "h"}}]
        assert backup_schedule.packages(one) == wanted
    for endpoint, paths_, wanted in (
        ("postgres://u:p@db/k", ["/usr/bin/psql"], ("psql", "postgresql-client")),
        ("mysql://u:p@tcp(db)/k", ["/usr/bin/mariadb", "/usr/bin/mysql"], ("mariadb", "mariadb-client")),
    ):
        one = node(files=dict.fromkeys(paths_))
        one["inputs"]["k3s_datastore_endpoint"] = endpoint
        assert backup_schedule.paths_to_look_at(one["inputs"]) == paths_ and backup_schedule.packages(one) == [wanted]
        one["info"]["files"][paths_[-1]] = {"mode": "0755"}
        assert backup_schedule.packages(one) == []
    for wrong in (None, 3, {"schedule": "daily", "to": 3}, {"schedule": "daily", "to": [3]}):
        assert backup_schedule.paths_to_look_at({"kube_backup": wrong}) == []
