# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the form of what backups need, as those of forms.py."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ...module_utils.base import recipients, schedule as backup_schedule
from .forms import NOT_FOR_DATA, Problem, absolute, text

DESTINATIONS = ("sftp", "s3", "directory")


def destination(value: Any) -> Problem:
    """Check that a destination of backups is one thing."""
    given = [key for key in DESTINATIONS if isinstance(value, Mapping) and value.get(key)]
    if len(given) == 1:
        return None
    return "it has %s" % (" and ".join(given) or "no destination"), "give it one of %s" % ", ".join(DESTINATIONS)


user = text(
    re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]*"), "the name of a user", "write it with letters, digits, - . _ and @"
)
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html, and names of older buckets
region = text(re.compile(r"[A-Za-z0-9_-]+"), "the name of a region", "write it as us-east-1", 64)
bucket = text(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]+"), "the name of a bucket", "write it with letters, digits, - . and _", 255
)


def archive_directory(value: str) -> Problem:
    """Check a directory for archives: not one that belongs to the cluster, because reset removes its data."""
    top = re.sub("/+", "/", value + "/")
    if top.startswith((*NOT_FOR_DATA, "/var/lib/rancher/")):
        return '"%s" belongs to the system or to the cluster' % value, "use another directory, such as /srv/backups"
    return absolute(value)


def schedule(value: str) -> Problem:
    """Check when backups are made."""
    try:
        backup_schedule.parse(value)
    except backup_schedule.ScheduleError as error:
        return error.problem, error.way_out
    return None


def recipient(value: str) -> Problem:
    """Check a key that archives are encrypted for. Its secret part, given by mistake, is not shown."""
    try:
        recipients.key_of(value)
    except recipients.RecipientError as error:
        way_out = "give what age-keygen calls the public key, age1…"
        if value.upper().startswith("AGE-SECRET-KEY-"):
            return "it is the secret part of a key, which nodes must not have", way_out
        return "%s is not a recipient of age: %s" % (json.dumps(value[:60]), error), way_out
    return None


def known_hosts(value: str) -> Problem:
    """Check the lines of a file known_hosts: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT."""
    lines = [line.split() for line in value.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if lines and all(len(words) >= 3 for words in lines):
        return None
    return "it has a line that is not a host and its key", "give what ssh-keyscan prints, not a path or a fingerprint"


def remote_path(value: str) -> Problem:
    """Check a directory on an SSH server: sftp does not replace ~."""
    good = not value.startswith(("~", "$"))
    return None if good else ('"%s" is not replaced on the server' % value, "write it from /, or from the user's home")


def prefix(value: str) -> Problem:
    """Check what names of objects in a bucket begin with."""
    good = not {".", ".."} & set(value.split("/")) and "//" not in value.strip("/")
    return None if good else ('"%s" has an empty part, or . or .. in it' % value, "write it as clusters/prod")


def key_of_s3(value: str) -> Problem:
    """Check a key of S3, which is sent in a header. The value is not shown."""
    return ("it has blanks", "remove them") if re.search(r"\s", value) else None


def archive(value: str) -> Problem:
    """Check where an archive is: a path on the controller, or an address of a destination."""
    scheme = re.match(r"(\w+):/", value)
    if not scheme or re.match(r"(s3|sftp)://[^/]+/.", value):
        return None
    if scheme.group(1).lower() in ("s3", "sftp"):
        return '"%s" is not the address of an archive' % value, "write it as s3://BUCKET/NAME or sftp://HOST/NAME"
    return (
        '"%s" is a URL that cannot be read' % value,
        "download the archive, or use s3://BUCKET/NAME or sftp://HOST/NAME",
    )


def controller_directory(value: str) -> Problem:
    """Check a directory on the controller, which is not an address of a destination."""
    good = not re.match(r"\w+:/", value)
    return None if good else ('"%s" is not a directory' % value, "name other places in kube_backup.to")
