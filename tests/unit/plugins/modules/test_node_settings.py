# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written for the next boot, and what a run that was killed leaves to the next."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.node import (
    os_settings as settings,
    ownership as owned,
    paths,
)
from ansible_collections.kubewright.cluster.plugins.module_utils.reset import host as cleanup
from ansible_collections.kubewright.cluster.plugins.modules import node_settings

WORDS = ["cgroup_memory=1", "cgroup_enable=memory"]
LINE = b"console=tty1  root=PARTUUID=1-02 rootwait\r\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    record, read, write = str(tmp_path / "owned.json"), owned.read, owned.write
    monkeypatch.setattr(owned, "read", lambda: read(record))
    monkeypatch.setattr(owned, "write", lambda value: write(value, record))
    monkeypatch.setattr(owned, "BACKUPS", str(tmp_path / "before"))
    monkeypatch.setattr(paths, "JOURNAL_FILE", str(tmp_path / "journald.conf.d/50-kubewright.conf"))
    (tmp_path / "cmdline.txt").write_bytes(LINE)
    return tmp_path


def node(check=False):
    made = node_settings.Node(SimpleNamespace(check_mode=check))
    made.commands = []
    made.run = made.commands.append
    return made


def noted(place):
    return json.loads((place / "owned.json").read_text())["settings"]


def test_words_are_written_once_and_taken_out_to_the_byte(place):
    path = str(place / "cmdline.txt")
    checked = node(check=True)
    checked.set_kernel_arguments(path, WORDS)
    assert checked.changes and (place / "cmdline.txt").read_bytes() == LINE and not (place / "owned.json").exists()
    node().set_kernel_arguments(path, WORDS)
    assert (place / "cmdline.txt").read_bytes() == LINE.rstrip() + b" cgroup_memory=1 cgroup_enable=memory\r\n"
    second = node()
    second.set_kernel_arguments(path, WORDS)
    assert second.changes == [] and second.diff == []
    assert noted(place)["kernel_arguments"]["words"] == WORDS and noted(place)["kernel_arguments"]["boot"]
    cleanup.Cleanup().restore_settings()
    assert (place / "cmdline.txt").read_bytes() == LINE


def test_words_that_stood_there_before_us_stay(place):
    (place / "cmdline.txt").write_text("quiet cgroup_memory=1\n")
    node().set_kernel_arguments(str(place / "cmdline.txt"), WORDS)
    assert noted(place)["kernel_arguments"]["words"] == WORDS[1:]
    cleanup.Cleanup().restore_settings()
    assert (place / "cmdline.txt").read_text() == "quiet cgroup_memory=1\n"


def test_words_of_others_are_waited_for_and_not_called_ours(place):
    (place / "cmdline.txt").write_text("quiet %s\n" % " ".join(WORDS))
    made = node()
    made.set_kernel_arguments(str(place / "cmdline.txt"), WORDS)
    assert made.changes == [] and noted(place)["kernel_arguments"]["words"] == []
    assert noted(place)["kernel_arguments"]["boot"]


def test_a_file_that_cannot_be_written_is_said_in_a_sentence(place, monkeypatch):
    def refuse(*_arguments):
        raise OSError(30, os.strerror(30))

    made = node()
    monkeypatch.setattr(owned, "write", lambda value: None)
    monkeypatch.setattr(node_settings, "write_atomically", refuse)
    made.set_kernel_arguments(str(place / "cmdline.txt"), WORDS)
    assert "cmdline.txt cannot be written: Read-only file system" in made.problems[0]


def test_journald_is_started_anew_by_the_next_run_where_one_was_killed(place):
    killed = node()
    killed.keep_file(paths.JOURNAL_FILE, settings.journal_text())
    following = node()
    following.keep_journal_in_memory()
    assert (
        following.commands == [["systemctl", "restart", "systemd-journald"]] and noted(place)["journald"] == "volatile"
    )
    last = node()
    last.keep_journal_in_memory()
    assert last.commands == [] and last.changes == []


def test_fstab_keeps_every_byte_that_is_not_a_swap_line(place, monkeypatch):
    monkeypatch.setattr(paths, "FSTAB", str(place / "fstab"))
    former = b"/dev/a /srv/\xe9t\xc3\xa9\x85 ext4 x\r\n/dev/b none swap sw\n# end\xff"
    (place / "fstab").write_bytes(former)
    made = node()
    made.swap_units = list
    monkeypatch.setattr(settings, "swap_devices", lambda _text: [])
    made.swap_off()
    assert (place / "fstab").read_bytes() == former.replace(b"/dev/b", b"#kubewright# /dev/b")
    work = cleanup.Cleanup()
    work.run = lambda argv, stdin=None: SimpleNamespace(rc=0)
    work.restore_settings()
    assert (place / "fstab").read_bytes() == former


@pytest.mark.parametrize("line", ["/dev/b none swap sw", "/dev/b none swap", "UUID=1 none  swap\tdefaults 0 0"])
def test_the_look_and_the_setter_know_the_same_swap_lines(line):
    text = "/dev/a / ext4 defaults\n# /dev/c none swap sw\n%s\n" % line
    assert settings.swap_lines(text) == [line] and settings.with_swap(settings.without_swap(text)) == text


def test_a_command_that_hangs_is_a_problem(place, monkeypatch):
    monkeypatch.setattr(node_settings, "SECONDS", 0.1)
    made = node_settings.Node(SimpleNamespace(check_mode=False))
    made.run(["sleep", "5"])
    assert "sleep 5: sleep did not finish" in made.problems[0]


def test_a_journal_in_memory_is_taken_back_once(place):
    node().keep_journal_in_memory()
    assert noted(place)["journald"] == "volatile"
    checked = node(check=True)
    checked.restore_journal()
    assert checked.changes and os.path.exists(paths.JOURNAL_FILE)
    made = node()
    made.restore_journal()
    assert not os.path.exists(paths.JOURNAL_FILE) and "journald" not in noted(place)
    assert made.commands == [["systemctl", "restart", "systemd-journald"]]
    again = node()
    again.restore_journal()
    assert again.changes == []


def test_a_journal_whose_restart_was_missed_is_restarted(place):
    node().keep_journal_in_memory()
    killed = node()
    owned.take_back(paths.JOURNAL_FILE, killed.record)
    made = node()
    made.restore_journal()
    assert made.commands == [["systemctl", "restart", "systemd-journald"]] and "journald" not in noted(place)
