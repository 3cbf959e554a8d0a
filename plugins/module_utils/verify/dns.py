# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small DNS client: the standard library's resolver cannot choose the server or the transport. Standard library only.

https://www.rfc-editor.org/rfc/rfc1035
"""

from __future__ import annotations

import random
import socket
import struct
from typing import List, Tuple

A, AAAA = 1, 28
# (addresses in the answer section, addresses in the additional section).
Answer = Tuple[List[str], List[str]]
CODES = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}


class DnsError(OSError):
    """The server's answer is a refusal, or is damaged."""


def question(name: str, kind: int = A, number: int | None = None) -> bytes:
    """Return the packet that asks for a name. kind: A or AAAA. number: of the packet, random by default."""
    number = random.randrange(65536) if number is None else number
    labels = b"".join(bytes([len(part)]) + part.encode("ascii") for part in name.strip(".").split("."))
    return struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + b"\x00" + struct.pack("!HH", kind, 1)


def addresses(packet: bytes) -> Answer:
    """Return the addresses in a packet. Raise DnsError if the server refuses or the packet is cut off."""
    try:
        _number, flags, questions, answers, authorities, additional = struct.unpack_from("!HHHHHH", packet)
        if flags & 15:
            raise DnsError(CODES.get(flags & 15, "code %d" % (flags & 15)))
        place = 12
        for _each in range(questions):
            place = _after_name(packet, place) + 4
        found = []
        for count in (answers, authorities, additional):
            part, place = _section(packet, place, count)
            found.append(part)
    except (struct.error, IndexError):
        raise DnsError("the answer is cut off") from None
    return found[0], found[2]


def _after_name(packet: bytes, place: int) -> int:
    """Return the position after a name. A pointer ends it."""
    while packet[place]:
        if packet[place] >= 192:
            return place + 2
        place += packet[place] + 1
    return place + 1


def _section(packet: bytes, place: int, count: int) -> tuple[list[str], int]:
    found = []
    for _each in range(count):
        place = _after_name(packet, place)
        kind, _class, _ttl, length = struct.unpack_from("!HHIH", packet, place)
        data = packet[place + 10 : place + 10 + length]
        place += 10 + length
        if len(data) < length:
            raise DnsError("the answer is cut off")
        if kind in (A, AAAA):
            found.append(socket.inet_ntop(socket.AF_INET if kind == A else socket.AF_INET6, data))
    return found, place


def ask(server: str, name: str, kind: int = A, port: int = 53, tcp: bool = False, timeout: float = 2) -> Answer:
    """Return the addresses of a name by one name server. timeout: seconds. Raise OSError (DnsError for a refusal)."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    packet = question(name, kind)
    with socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as channel:
        channel.settimeout(timeout)
        channel.connect((server, port))
        channel.sendall(struct.pack("!H", len(packet)) + packet if tcp else packet)
        if not tcp:
            return addresses(_own_answer(channel.recv(65535), packet))
        length = struct.unpack("!H", _exactly(channel, 2))[0]
        return addresses(_own_answer(_exactly(channel, length), packet))


def _own_answer(answer: bytes, packet: bytes) -> bytes:
    if answer[:2] != packet[:2]:
        raise DnsError("the answer belongs to another question")
    return answer


def _exactly(channel: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = channel.recv(count - len(data))
        if not part:
            raise DnsError("the server closed the connection in the middle of the answer")
        data += part
    return data
