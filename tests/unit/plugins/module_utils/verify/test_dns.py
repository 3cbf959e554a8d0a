# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import struct
import time

import pytest
from ansible_collections.kubewright.cluster.plugins.module_utils.verify import check as probe, dns as probe_dns


def test_a_question_is_as_the_standard_has_it():
    packet = probe_dns.question("a.example.", number=7)
    assert packet == b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01"


@pytest.mark.parametrize("tcp", [False, True])
def test_names_are_asked_by_both_transports(serve, tcp):
    server = serve.names(lambda name: (0, ["10.0.0.1", "10.0.0.2"]) if name == "a.example" else (3, []))
    assert probe_dns.ask("127.0.0.1", "a.example", port=server.port, tcp=tcp) == (["10.0.0.1", "10.0.0.2"], [])
    with pytest.raises(probe_dns.DnsError, match="NXDOMAIN"):
        probe_dns.ask("127.0.0.1", "b.example", port=server.port, tcp=tcp)


@pytest.mark.parametrize("tcp", [False, True])
def test_who_asks_is_in_the_additional_section(serve, tcp):
    assert probe_dns.ask("127.0.0.1", "whoami.example", port=serve.names().port, tcp=tcp) == ([], ["127.0.0.1"])


def test_other_records_and_address_families_are_understood():
    question = probe_dns.question("a.example")
    alias = b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 5, 4) + b"\x01b\xc0\x0e"
    address = b"\x01b\xc0\x0e" + struct.pack("!HHIH", 28, 1, 5, 16) + b"\xfd" + b"\x00" * 14 + b"\x01"
    packet = question[:2] + struct.pack("!HHHHH", 0x8180, 1, 2, 0, 0) + question[12:] + alias + address
    assert probe_dns.addresses(packet) == (["fd00::1"], [])


def test_a_cut_answer_is_an_error_at_every_length():
    question = probe_dns.question("a.example")
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 5, 4) + b"\x0a\x00\x00\x01"
    packet = question[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + question[12:] + record
    assert probe_dns.addresses(packet) == (["10.0.0.1"], [])
    for length in range(len(packet)):
        with pytest.raises(probe_dns.DnsError):
            probe_dns.addresses(packet[:length])


def test_a_work_that_fails_is_tried_until_the_deadline():
    calls = []

    def work():
        calls.append(1)
        if len(calls) < 3:
            raise OSError(111, "Connection refused")
        return "done"

    assert probe.tried(time.monotonic() + 5, work)[:2] == ("done", None)
    assert len(calls) == 3


def test_past_the_deadline_the_reason_is_told():
    def work():
        raise OSError(111, "Connection refused")

    answer, problem, spent = probe.tried(time.monotonic() + 0.3, work)
    assert (answer, problem) == (None, "Connection refused")
    assert 300 <= spent < 2000
    assert probe.tried(time.monotonic(), lambda: int("x"))[1].startswith("invalid literal")
