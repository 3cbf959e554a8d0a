# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""Run the registry and the artifact server in the lab's container. Needs only Python's standard library."""

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
    """An HTTP handler that logs failed requests only."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code="-", size="-"):
        """Log a request if it failed."""
        if int(code) >= 400:
            super().log_request(code, size)


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A server with a thread per client. HTTPServer would look up the host's name and hang without a resolver."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Ignore clients that close the connection."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def pass_on(stream):
    """Copy the registry's log to stderr, without the errors it writes for each missing blob or tag."""
    for line in stream:
        if "http.response.status=404" not in line:
            sys.stderr.write(line)


def watch(registry):
    """End the container when the registry ends."""
    os._exit(registry.wait() or 1)


def stop(*_arguments):
    """Exit when the container is stopped."""
    sys.exit(0)


def main():
    """Run both servers until one of them ends or the container is stopped."""
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
