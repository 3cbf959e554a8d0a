# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program of scheduled backups: the collection's own module_utils in one file that Python runs.

https://docs.python.org/3/library/zipapp.html. The same release of the collection gives the same bytes everywhere:
nothing is compressed, because releases of zlib differ, and no file has a time.
"""

from __future__ import annotations

import ast
import hashlib
import io
import os
import zipfile
from functools import lru_cache

from ..base import resources

MODULE_UTILS = os.path.join("plugins", "module_utils")
FIRST, PACKAGE = "backup/scheduled", "kubewright"
START = """# Made by kubewright.cluster.
import sys

from kubewright.backup.scheduled import main

sys.exit(main(sys.argv[1:]))
"""
# The earliest time that a zip file can have.
NO_TIME = (1980, 1, 1, 0, 0, 0)


@lru_cache(maxsize=None)
def content() -> bytes:
    """Return the program."""
    texts = {"__main__.py": START, PACKAGE + "/__init__.py": ""}
    for name, text in modules().items():
        texts["%s/%s.py" % (PACKAGE, name)] = text
        texts["%s/%s/__init__.py" % (PACKAGE, name.partition("/")[0])] = ""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(texts):
            entry = zipfile.ZipInfo(name, NO_TIME)
            entry.create_system, entry.external_attr = 3, 0o600 << 16
            archive.writestr(entry, texts[name].encode())
    return stream.getvalue()


@lru_cache(maxsize=None)
def digest() -> str:
    """Return the SHA-256 of the program."""
    return hashlib.sha256(content()).hexdigest()


def modules() -> dict[str, str]:
    """Return {PACKAGE/MODULE: text} of the program's first module and of all that it imports, directly or not."""
    found: dict[str, str] = {}
    waiting = [FIRST]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = resources.read_text(MODULE_UTILS, name + ".py")
            waiting += _imported(name, found[name])
    return found


def _imported(name: str, text: str) -> list[str]:
    """Return the modules that a module of module_utils imports from there, also those inside of functions."""
    package, found = name.partition("/")[0], []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level:
            parts = ([package] if node.level == 1 else []) + (node.module or "").split(".")
            path = "/".join(part for part in parts if part)
            if "/" in path:
                found.append(path)
            else:
                found += ["%s/%s" % (path, alias.name) for alias in node.names]
    return found
