# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are encrypted with a passphrase, in the format of age: `age --decrypt FILE` reads them. Those that nodes
encrypt for a key (module_utils/base/recipients.py) are read with its secret part.

https://github.com/C2SP/C2SP/blob/main/age.md. The primitives are those of the package cryptography, which ansible-core
requires. The whole file is authenticated: one that was cut short or changed is found out.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from ...module_utils.base import recipients

# ansible-core itself requires it; only the import test of ansible-test has it not.
with contextlib.suppress(ImportError):
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives import constant_time, hashes, hmac
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

FIRST_LINE = b"age-encryption.org/v1\n"
LABEL = b"age-encryption.org/v1/scrypt"
CHUNK, TAG = 64 << 10, 16
# The cost of trying a passphrase, as age itself has it: 2^18, about a second and 256 MiB. More than 2^22 is refused.
COST, MOST = 18, 22
HEADER = re.compile(
    rb"age-encryption\.org/v1\n-> scrypt ([A-Za-z0-9+/]{22}) ([1-9][0-9]?)\n([A-Za-z0-9+/]{43})\n--- ([A-Za-z0-9+/]{43})\n"
)
# A file for keys has a stanza for each of them.
FOR_KEYS = re.compile(
    rb"age-encryption\.org/v1\n((?:-> X25519 [A-Za-z0-9+/]{43}\n[A-Za-z0-9+/]{43}\n)+)--- ([A-Za-z0-9+/]{43})\n"
)
IDENTITY = "AGE-SECRET-KEY-"
END = re.compile(rb"\n--- [A-Za-z0-9+/]{43}\n")
HEADER_LIMIT = 16384


class AgeError(Exception):
    """A file cannot be decrypted."""


class NotForPassphrase(AgeError):
    """The file is not in this format, or is not encrypted with a passphrase."""


class WrongPassphrase(AgeError):
    """The passphrase does not open the file."""


class ForKeys(AgeError):
    """The file is for holders of a key, and the given one does not open it."""


class CutShort(AgeError):
    """The file ends too early."""


class Changed(AgeError):
    """The file is not what was written."""


class Writer:
    """Encrypts what is written to a file. close() writes the end, without which the file counts as cut short."""

    def __init__(self, stream: BinaryIO, passphrase: str, cost: int = COST) -> None:
        self._stream, self._rest, self._number = stream, b"", 0
        key, salt = os.urandom(16), os.urandom(16)
        body = ChaCha20Poly1305(_key_of(passphrase, salt, cost)).encrypt(bytes(12), key, None)
        head = FIRST_LINE + b"-> scrypt %s %d\n%s\n---" % (_text(salt), cost, _text(body))
        nonce = os.urandom(16)
        stream.write(head + b" " + _text(_mac(key, head).finalize()) + b"\n" + nonce)
        self._cipher = ChaCha20Poly1305(_derived(key, nonce, b"payload"))

    def write(self, data: bytes) -> None:
        """Encrypt and write data."""
        self._rest += data
        # The last chunk has a mark, so one is always kept back.
        count = max(0, (len(self._rest) - 1) // CHUNK)
        for start in range(0, count * CHUNK, CHUNK):
            self._put(self._rest[start : start + CHUNK], False)
        self._rest = self._rest[count * CHUNK :]

    def close(self) -> None:
        """Write the last chunk. The file itself stays open."""
        self._put(self._rest, True)

    def _put(self, chunk: bytes, last: bool) -> None:
        self._stream.write(self._cipher.encrypt(_nonce(self._number, last), chunk, None))
        self._number += 1


def read(stream: BinaryIO, passphrase: str) -> Iterator[bytes]:
    """Yield the content of an encrypted file, each piece authenticated. Raise AgeError.

    passphrase: or the secret part of a key, as age-keygen writes it.
    """
    start = stream.read(HEADER_LIMIT)
    found = FOR_KEYS.match(start)
    if found:
        key = _key_for(passphrase, found.group(1))
        yield from _content(stream, start[: found.start(2) - 1], key, found.group(2), found.end())
        return
    found = HEADER.match(start)
    if not found:
        if FIRST_LINE.startswith(start[: len(FIRST_LINE)]) and not END.search(start):
            raise CutShort
        raise NotForPassphrase
    salt, cost, body, mac = found.groups()
    if int(cost) > MOST:
        raise NotForPassphrase
    try:
        cipher = ChaCha20Poly1305(_key_of(passphrase, _bytes(salt), int(cost)))
        key = cipher.decrypt(bytes(12), _bytes(body), None)
    except InvalidTag:
        raise WrongPassphrase from None
    yield from _content(stream, start[: found.start(4) - 1], key, mac, found.end())


def _content(stream: BinaryIO, head: bytes, key: bytes, mac: bytes, end: int) -> Iterator[bytes]:
    """Yield what follows the header. head: of the file. mac: of the header. end: of it, in bytes."""
    if not constant_time.bytes_eq(_mac(key, head).finalize(), _bytes(mac)):
        raise Changed
    stream.seek(end)
    nonce = stream.read(16)
    yield from _chunks(stream, ChaCha20Poly1305(_derived(key, nonce, b"payload")))


def _key_for(identity: str, stanzas: bytes) -> bytes:
    """Return the key of a file that is for the holder of an identity. Raise ForKeys."""
    found = re.search(IDENTITY + "1[0-9A-Z]+", identity)  # age-keygen writes comments around it
    try:
        number = recipients.decoded(found.group() if found else "", IDENTITY.lower())
    except recipients.RecipientError:
        raise ForKeys from None
    secret, own = X25519PrivateKey.from_private_bytes(number), recipients.x25519(number, recipients.BASE_POINT)
    lines = stanzas.decode().splitlines()
    for first, second in zip(lines[::2], lines[1::2]):
        share = _bytes(first.rpartition(" ")[2].encode())
        with contextlib.suppress(InvalidTag, ValueError):
            shared = secret.exchange(X25519PublicKey.from_public_bytes(share))
            wrapped = _derived(shared, share + own, recipients.LABEL)
            return ChaCha20Poly1305(wrapped).decrypt(bytes(12), _bytes(second.encode()), None)
    raise ForKeys


def _chunks(stream: BinaryIO, cipher: ChaCha20Poly1305) -> Iterator[bytes]:
    number, chunk = 0, stream.read(CHUNK + TAG)
    while True:
        following = stream.read(CHUNK + TAG)
        try:
            yield cipher.decrypt(_nonce(number, not following), chunk, None)
        except InvalidTag:
            # At the end of a file that was cut short, the last chunk has no mark or is not whole.
            raise Changed if following else CutShort from None
        if not following:
            return
        number, chunk = number + 1, following


def _key_of(passphrase: str, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt=LABEL + salt, length=32, n=1 << cost, r=8, p=1).derive(passphrase.encode())


def _derived(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=info).derive(key)


def _mac(key: bytes, head: bytes) -> hmac.HMAC:
    made = hmac.HMAC(_derived(key, b"", b"header"), hashes.SHA256())
    made.update(head)
    return made


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\1" if last else b"\0")


def _text(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _bytes(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4))
