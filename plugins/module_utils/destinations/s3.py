# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives in a bucket of an S3 server. Standard library only.

The same code runs on the controller and on nodes. curl signs requests since 7.75, which the systems that nodes run do
not all have, and boto3 is on neither.
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
import os
import ssl
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from http.client import HTTPException
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, TypeVar
from urllib.parse import quote, urlsplit

from ..base.masking import masked_message
from ..base.proxies import excepted
from .places import Place, PlaceError

EMPTY = hashlib.sha256(b"").hexdigest()
REGION = "us-east-1"
# The largest object of one request: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
LIMIT = 5 << 30
# The longest pause in an answer, and the pauses before another try.
SECONDS = 60
PAUSES = (1.0, 4.0)
AGAIN = (500, 502, 503, 504)
Wanted = TypeVar("Wanted")


def signed(
    method: str, url: str, payload: str, settings: Mapping[str, Any], moment: time.struct_time
) -> Dict[str, str]:
    """Return the headers that sign a request. payload: SHA-256 of the body. settings: with keys and region."""
    parts, region = urlsplit(url), settings.get("region") or REGION
    now, day = time.strftime("%Y%m%dT%H%M%SZ", moment), time.strftime("%Y%m%d", moment)
    headers = {"host": parts.netloc, "x-amz-content-sha256": payload, "x-amz-date": now}
    names = ";".join(sorted(headers))
    lines = ["%s:%s" % item for item in sorted(headers.items())]
    query = "&".join(sorted(parts.query.split("&"))) if parts.query else ""
    request = "\n".join([method, parts.path, query, *lines, "", names, payload])
    scope = "%s/%s/s3/aws4_request" % (day, region)
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = ("AWS4" + settings["secret_key"]).encode()
    for word in (day, region, "s3", "aws4_request", text):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    credential = "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s"
    headers["Authorization"] = credential % (settings["access_key"], scope, names, key.hex())
    del headers["host"]  # the library sends it
    return headers


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: the request is signed for one host."""

    def redirect_request(self, *_arguments: Any, **_more: Any) -> None:
        """Follow none."""


class Bucket(Place):
    """A prefix of a bucket. An object appears there only when it is complete."""

    def __init__(self, settings: Mapping[str, Any], proxy: Mapping[str, Any] | None = None) -> None:
        """settings: endpoint, bucket, prefix, region, access_key, secret_key, ca. proxy: as kube_http_proxy.

        Without a proxy that of the environment is used.
        """
        self._settings = settings
        prefix = str(settings.get("prefix") or "").strip("/")
        self._prefix = prefix + "/" if prefix else ""
        self.label = "s3://%s/%s" % (settings["bucket"], self._prefix)
        endpoint = settings.get("endpoint") or "https://s3.%s.amazonaws.com" % (settings.get("region") or REGION)
        self._base = "%s/%s" % (str(endpoint).rstrip("/"), quote(settings["bucket"], safe="-_.~"))
        handlers: List[Any] = [_NoRedirect()]
        if self._base.startswith("https://"):
            handlers.append(urllib.request.HTTPSHandler(context=self._context()))
        if proxy is not None:
            handlers.append(urllib.request.ProxyHandler(self._proxies(proxy)))
        self._opener = urllib.request.build_opener(*handlers)

    def _context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cadata=self._settings.get("ca") or None)
        except (ssl.SSLError, ValueError):
            raise PlaceError("settings", "%s: its ca is not a certificate in PEM form." % self.label) from None

    def _proxies(self, proxy: Mapping[str, Any]) -> Dict[str, str]:
        if excepted(urlsplit(self._base).hostname or "", proxy.get("no_proxy") or []):
            return {}
        return {scheme: str(proxy[scheme]) for scheme in ("http", "https") if proxy.get(scheme)}

    def put(self, path: str, name: str, sha256: str, partial: str) -> None:
        """See Place. The server compares the digest, which is signed, before the object exists."""
        size = os.path.getsize(path)
        if size > LIMIT:
            text = "%s: the archive has %d MiB, and one request takes %d MiB at most. Send it over SFTP."
            raise PlaceError("size", text % (self.label, size >> 20, LIMIT >> 20))

        def sent() -> None:
            with open(path, "rb") as stream:
                more = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
                self._open("PUT", self._url(name), sha256, stream, more).close()

        try:
            self._tried(sent)
        except PlaceError as error:
            if error.id == "destination.unreachable":
                self._explain(name)
            raise
        there = self._tried(lambda: self._digest(name))
        if there != sha256:
            self.delete([name])
            raise self.wrong(name, there, sha256)

    def _explain(self, name: str) -> None:
        """Raise the refusal of a server that closed the connection before it had the whole archive."""
        try:
            self._open("GET", self._url(name)).close()
        except urllib.error.HTTPError as error:
            refused = self._refused(error)
            if "NoSuchKey" not in str(refused):
                raise refused from None
        except (OSError, HTTPException):
            return

    def _digest(self, name: str) -> str:
        digest = hashlib.sha256()
        with self._open("GET", self._url(name)) as answer:
            for block in iter(lambda: answer.read(1 << 20), b""):
                digest.update(block)
        return digest.hexdigest()

    def fetch(self, name: str, target: str) -> None:
        """See Place."""

        def received() -> None:
            with self._open("GET", self._url(name)) as answer, open(target, "wb") as stream:
                for block in iter(lambda: answer.read(1 << 20), b""):
                    stream.write(block)

        self._tried(received)

    def names(self, start: str) -> List[str]:
        """See Place."""
        found, token = [], ""
        while True:
            prefix = quote(self._prefix + start, safe="-_.~")
            query = (
                "?list-type=2&prefix=" + prefix + ("&continuation-token=" + quote(token, safe="-_.~") if token else "")
            )
            more, token = self._tried(lambda query=query: self._page(query))  # type: ignore[misc]
            found += [key[len(self._prefix) :] for key in more if key.startswith(self._prefix)]
            if not token:
                return [name for name in found if "/" not in name]

    def _page(self, query: str) -> Tuple[List[str], str]:
        """Return (keys, what the next page is asked for with) of a listing."""
        with self._open("GET", self._base + "/" + query) as answer:
            text = answer.read()
        try:
            root = ET.fromstring(text)
        except ET.ParseError:
            raise PlaceError("listing", "%s: the answer is not a listing of S3." % self.label) from None
        if not root.tag.endswith("ListBucketResult"):
            raise PlaceError("listing", "%s: the answer is not a listing of S3." % self.label)
        rows = [(element.tag.rpartition("}")[2], element.text or "") for element in root.iter()]
        cut = any(row == ("IsTruncated", "true") for row in rows)
        token = next((text for tag, text in rows if tag == "NextContinuationToken"), "")
        if cut and not token:
            raise PlaceError("listing", "%s: the listing of S3 is not complete." % self.label)
        return [text for tag, text in rows if tag == "Key"], token if cut else ""

    def delete(self, names: List[str]) -> None:
        """See Place."""
        for name in names:
            self._tried(lambda name=name: self._open("DELETE", self._url(name)).close())  # type: ignore[misc]

    def _url(self, name: str) -> str:
        return "%s/%s" % (self._base, quote(self._prefix + name, safe="-_.~/"))

    def _open(
        self, method: str, url: str, payload: str = EMPTY, body: Any = None, more: Optional[Mapping[str, str]] = None
    ) -> Any:
        headers = {**signed(method, url, payload, self._settings, time.gmtime()), **(more or {})}
        return self._opener.open(urllib.request.Request(url, body, headers, method=method), timeout=SECONDS)

    def _tried(self, function: Callable[[], Wanted]) -> Wanted:
        """Return what a function returns; try again after a failure that may pass. Raise PlaceError."""
        for pause in (*PAUSES, None):
            try:
                return function()
            except urllib.error.HTTPError as error:
                if error.code not in AGAIN or pause is None:
                    raise self._refused(error) from None
            except (OSError, HTTPException) as error:
                reason = getattr(error, "reason", error)
                if isinstance(reason, ssl.SSLCertVerificationError):
                    text = "%s: the certificate of %s is not trusted (%s). Set ca to the authority that signed it."
                    raise PlaceError("not_trusted", text % (self.label, self._host(), reason.verify_message)) from None
                if pause is None:
                    text = "%s: %s does not answer (%s). Check the endpoint, and the way to it."
                    why = masked_message(str(reason) or type(reason).__name__)
                    raise PlaceError("unreachable", text % (self.label, self._host(), why)) from None
            time.sleep(pause or 0)
        raise AssertionError

    def _refused(self, error: urllib.error.HTTPError) -> PlaceError:
        """Return what the server says, which has no secrets: a code and a sentence."""
        try:
            root = ET.fromstring(error.read(1 << 16))
            said = " ".join(root.findtext(name) or "" for name in ("Code", "Message"))[:300]
        except (ET.ParseError, OSError, HTTPException):
            said = ""
        kind = "denied" if error.code in (401, 403) else "refused"
        text = "%s: the server refuses the request: HTTP %d %s"
        return PlaceError(kind, masked_message(text % (self.label, error.code, said.strip() or error.reason)))

    def _host(self) -> str:
        return urlsplit(self._base).netloc.rpartition("@")[2]
