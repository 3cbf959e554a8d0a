# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""Runs in the lab's container: the registry, and the artifacts over HTTP. Standard library alone, any Python 3."""

import functools
import http.server
import os
import signal
import socketserver
import subprocess
import sys
import threading

REGISTRY = """\
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: /var/lib/registry}
  delete: {enabled: true}
http: {addr: ":5000"}
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Logs what fails, not what goes well."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code="-", size="-"):
        """Called for each answer."""
        if int(code) >= 400:
            super().log_request(code, size)


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """One thread a client. HTTPServer would ask for the host's name, and wait where no resolver answers."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """A client that hangs up is nothing to report."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def pass_on(stream):
    """The registry calls each question for what it does not have an error: those are not worth a line."""
    for line in stream:
        if "http.response.status=404" not in line:
            sys.stderr.write(line)


def watch(registry):
    """Without its registry the container has no use."""
    os._exit(registry.wait() or 1)


def stop(*_arguments):
    """The container is being stopped."""
    sys.exit(0)


def main():
    """Both servers, until one of them ends or the container is stopped."""
    with open("/run/registry.yml", "w", encoding="utf-8") as file:
        file.write(REGISTRY)
    words = ["docker-registry", "serve", "/run/registry.yml"]
    registry = subprocess.Popen(words, stderr=subprocess.PIPE, universal_newlines=True)
    threading.Thread(target=pass_on, args=(registry.stderr,), daemon=True).start()
    threading.Thread(target=watch, args=(registry,), daemon=True).start()
    signal.signal(signal.SIGTERM, stop)
    handler = functools.partial(Quiet, directory="/artifacts")
    with Server(("", 8080), handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
