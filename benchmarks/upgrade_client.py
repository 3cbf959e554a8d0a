# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client on a node that reads, writes and watches ten times a second, until its input ends. Standard library only.

    python3 upgrade_client.py https://127.0.0.1:7443    # prints one line of JSON

Each write makes a numbered ConfigMap. A write counts as acknowledged if the API answered 201. At the end
all ConfigMaps are listed: an acknowledged one that is missing is lost. The watch goes on from the last version that it
saw.
"""

from __future__ import annotations

import http.client
import json
import ssl
import sys
import threading
import time
from urllib.parse import urlsplit

PLACE = "/api/v1/namespaces/default/configmaps"
LABEL = {"bench": "upgrade"}
SELECTOR = "labelSelector=bench%3Dupgrade"
PERIOD, TIMEOUT = 0.1, 5


class Server:
    """The API, over a connection that is kept until it breaks, as clients of Kubernetes do."""

    def __init__(self, url: str) -> None:
        self.parts = urlsplit(url)
        self.context = ssl._create_unverified_context()
        self.context.load_cert_chain("/root/client.pem")
        self.connection: http.client.HTTPSConnection | None = None

    def open(self, timeout: float) -> http.client.HTTPSConnection:
        """Return a new connection."""
        return http.client.HTTPSConnection(self.parts.hostname, self.parts.port, timeout=timeout, context=self.context)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Return (status, answer). Raise OSError or HTTPException."""
        if self.connection is None:
            self.connection = self.open(TIMEOUT)
        try:
            data = None if body is None else json.dumps(body)
            self.connection.request(method, path, data, {"Content-Type": "application/json"})
            answer = self.connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            raise


class Gaps:
    """The longest time between two successes."""

    def __init__(self) -> None:
        self.last, self.longest, self.good, self.bad, self.at = time.monotonic(), 0.0, 0, 0, 0.0

    def success(self, started: float) -> None:
        """Count one."""
        now = time.monotonic()
        if now - self.last > self.longest:
            self.longest, self.at = now - self.last, now - started
        self.last, self.good = now, self.good + 1

    def result(self) -> dict:
        """Return the numbers. at: seconds after the start at which the longest gap ended."""
        return {"good": self.good, "bad": self.bad, "longest": round(self.longest, 2), "at": round(self.at)}


def repeat(gaps: Gaps, once, over: threading.Event, started: float) -> None:
    """Call a function ten times a second."""
    while not over.is_set():
        begun = time.monotonic()
        try:
            if once():
                gaps.success(started)
            else:
                gaps.bad += 1
        except (OSError, http.client.HTTPException, ValueError):
            gaps.bad += 1
        over.wait(max(0.0, PERIOD - (time.monotonic() - begun)))


def writer(url: str, acknowledged: list, over: threading.Event, gaps: Gaps, started: float) -> None:
    """Create a ConfigMap ten times a second. A number is tried once only."""
    server, number = Server(url), [0]

    def once() -> bool:
        number[0] += 1
        name = "upgrade-%06d" % number[0]
        body = {"metadata": {"name": name, "labels": LABEL}, "data": {"number": str(number[0])}}
        status, _answer = server.ask("POST", PLACE, body)
        if status == 201:
            acknowledged.append(name)
        return status == 201

    repeat(gaps, once, over, started)


def reader(url: str, over: threading.Event, gaps: Gaps, started: float) -> None:
    """Read an object ten times a second."""
    server = Server(url)
    repeat(gaps, lambda: server.ask("GET", "/api/v1/namespaces/default")[0] == 200, over, started)


def watcher(url: str, seen: set, restarts: list, over: threading.Event) -> None:
    """Watch the ConfigMaps. restarts: why each watch ended."""
    server, version = Server(url), "0"
    while not over.is_set():
        connection = server.open(30)
        try:
            query = "%s?watch=1&allowWatchBookmarks=true&%s&resourceVersion=%s" % (PLACE, SELECTOR, version)
            connection.request("GET", query)
            answer = connection.getresponse()
            if answer.status != 200:
                raise ValueError("HTTP %d" % answer.status)
            while not over.is_set():
                line = answer.readline()
                if not line:
                    raise ValueError("ended")
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ValueError("%s" % event["object"].get("code"))
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] == "ADDED":
                    seen.add(event["object"]["metadata"]["name"])
        except (OSError, http.client.HTTPException, ValueError) as error:
            restarts.append(str(error) or type(error).__name__)
            over.wait(0.2)
        finally:
            connection.close()


def listed(url: str) -> set:
    """Return the names of all ConfigMaps that are there."""
    for _try in range(30):
        try:
            status, answer = Server(url).ask("GET", "%s?%s" % (PLACE, SELECTOR))
            if status == 200:
                return {item["metadata"]["name"] for item in json.loads(answer)["items"]}
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(1)
    raise SystemExit("the ConfigMaps cannot be listed")


def main() -> None:
    url, over, started = sys.argv[1], threading.Event(), time.monotonic()
    acknowledged: list = []
    seen: set = set()
    restarts: list = []
    writes, reads = Gaps(), Gaps()
    threads = [
        threading.Thread(target=writer, args=(url, acknowledged, over, writes, started)),
        threading.Thread(target=reader, args=(url, over, reads, started)),
        threading.Thread(target=watcher, args=(url, seen, restarts, over), daemon=True),
    ]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    time.sleep(3)  # the watch gets what was written last
    done = set(acknowledged)  # before the list: what is acknowledged meanwhile may be missing in it
    there = listed(url)
    for _try in range(30):
        if done <= seen:
            break
        time.sleep(1)
    over.set()
    for thread in threads[:2]:
        thread.join()
    result = {
        "writes": writes.result(),
        "reads": reads.result(),
        "lost": len(done - there),
        "missed": len(done - seen),
        "watches": len(restarts) + 1,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
