# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates and small servers for the tests of clients."""

from __future__ import annotations

import base64
import contextlib
import datetime
import http.server
import ipaddress
import socket
import ssl
import struct
import threading

import pytest

DAY = datetime.timedelta(days=1)


class Authority:
    """A certificate authority that exists for one test."""

    def __init__(self, directory, name="test-ca"):
        # Imported here: the tests of others need no certificates.
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        self.x509, self.hashes, self.serialization, self.ec = x509, hashes, serialization, ec
        self.directory, self.name, self.key = directory, name, ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._signed(name, self.key.public_key(), 3650, [], True, 3651)
        self.path = self._write(name + ".crt", self.pem(self.certificate))

    def pem(self, certificate):
        return certificate.public_bytes(self.serialization.Encoding.PEM)

    def _write(self, name, content):
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return str(path)

    def _signed(self, name, public_key, days, addresses, authority=False, life=365):
        now = datetime.datetime.now(datetime.timezone.utc)
        subject, issuer = (
            self.x509.Name([self.x509.NameAttribute(self.x509.NameOID.COMMON_NAME, text)]) for text in (name, self.name)
        )
        builder = self.x509.CertificateBuilder(
            issuer, subject, public_key, self.x509.random_serial_number(), now + DAY * (days - life), now + DAY * days
        )
        builder = builder.add_extension(self.x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        if addresses:
            names = [self.x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
            builder = builder.add_extension(self.x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, self.hashes.SHA256())

    def issue(self, name, days=364.5, addresses=(), life=365):
        """(certificate, key) as PEM."""
        key = self.ec.generate_private_key(self.ec.SECP256R1())
        certificate = self.pem(self._signed(name, key.public_key(), days, list(addresses), life=life))
        formats = (
            self.serialization.Encoding.PEM,
            self.serialization.PrivateFormat.PKCS8,
            self.serialization.NoEncryption(),
        )
        return certificate, key.private_bytes(*formats)

    def issue_files(self, name, **options):
        """Path of a file that holds both."""
        return self._write(name + ".pem", b"".join(self.issue(name, **options)))

    def kubeconfig(self, server="https://127.0.0.1:1", **options):
        """Path of a kubeconfig of this authority."""
        certificate, key = self.issue("admin", **options)
        parts = {
            "certificate-authority": self.pem(self.certificate),
            "client-certificate": certificate,
            "client-key": key,
        }
        lines = ["apiVersion: v1", "kind: Config", "clusters:", "- cluster:", "    server: " + server]
        lines += ["    %s-data: %s" % (part, base64.b64encode(content).decode()) for part, content in parts.items()]
        return self._write("admin.conf", ("\n".join(lines) + "\n").encode())

    def serve(self, answer, addresses=("127.0.0.1",), client=True):
        """An HTTPS server that wants a client certificate of this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.issue_files("server", addresses=addresses))
        if client:
            context.load_verify_locations(self.path)
            context.verify_mode = ssl.CERT_REQUIRED
        return Served(answer, context)


class Served:
    """An HTTP server on a free port. answer(request) -> (status, headers, body)."""

    def __init__(self, answer, context=None):
        outer = self
        self.requests = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self):
                length = int(self.headers.get("Content-Length") or 0)
                self.body = self.rfile.read(length).decode()
                outer.requests.append((self.command, self.path, dict(self.headers), self.body))
                status, headers, body = answer(self)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_DELETE = _serve

            def log_message(self, *_arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.address = ("127.0.0.1", self.port)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class NameServer:
    """A name server by UDP and TCP on one port. answer(name): (code, addresses), by default the asker's address."""

    def __init__(self, answer=None, whoami=None):
        self.answer, self.whoami = answer, whoami
        self.tcp, self.udp = self._pair()
        self.port = self.tcp.getsockname()[1]
        for work in (self._datagrams, self._streams):
            threading.Thread(target=work, daemon=True).start()

    @staticmethod
    def _pair():
        """A port that is free by TCP may be taken by UDP: another is tried."""
        for _try in range(20):
            tcp, udp = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                udp.bind(tcp.getsockname())
                return tcp, udp
            except OSError:
                tcp.close()
                udp.close()
        raise OSError("no port is free by TCP and UDP")

    def _datagrams(self):
        while True:
            try:
                packet, asker = self.udp.recvfrom(4096)
                self.udp.sendto(self._packet(packet, asker[0]), asker)
            except OSError:
                return

    def _streams(self):
        while True:
            try:
                channel, asker = self.tcp.accept()
            except OSError:
                return
            with channel:
                packet = channel.recv(4096)[2:]
                answer = self._packet(packet, asker[0])
                channel.sendall(struct.pack("!H", len(answer)) + answer)

    def _packet(self, packet, asker):
        name, place = [], 12
        while packet[place]:
            name.append(packet[place + 1 : place + 1 + packet[place]].decode())
            place += packet[place] + 1
        question = packet[12 : place + 5]
        code, found = self.answer(".".join(name)) if self.answer else (0, [])
        extra = [] if self.answer else [self.whoami or asker]
        records = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + socket.inet_aton(address) for address in found + extra
        )
        return packet[:2] + struct.pack("!HHHHH", 0x8400 | code, 1, len(found), 0, len(extra)) + question + records

    def stop_streams(self):
        with contextlib.suppress(OSError):
            self.tcp.shutdown(socket.SHUT_RDWR)
        self.tcp.close()

    def stop(self):
        self.udp.close()
        self.stop_streams()


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def other_authority(tmp_path):
    return Authority(tmp_path / "other", "other-ca")


@pytest.fixture
def serve():
    """Starts servers and stops them after the test."""
    started = []

    def start(made):
        started.append(made)
        return made

    start.http = lambda answer: start(Served(answer))
    start.names = lambda answer=None, whoami=None: start(NameServer(answer, whoami))
    yield start
    for each in started:
        each.stop()
