# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests ask of findings: their ids and values. The wording is in golden/findings.yml, by id, and compared here.

After a change of wording: delete that file, run `KUBEWRIGHT_GOLDEN=write pytest tests/unit/plugins`, and read the
difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import yaml

GOLDEN = Path(__file__).with_name("golden") / "findings.yml"
WRITE = os.environ.get("KUBEWRIGHT_GOLDEN") == "write"
HEADER = """# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The wording of every refusal and warning that the unit tests make, by id. See findings.py beside this folder.
"""


def known() -> dict[str, list[str]]:
    """Return the golden texts by id."""
    return yaml.safe_load(GOLDEN.read_text()) or {} if GOLDEN.exists() else {}


_KNOWN = known()


def ids(found) -> list[str]:
    """Return the ids of findings (objects, or dicts of a plan). Their wording has to match the golden file."""
    rows = [found_one if isinstance(found_one, dict) else found_one.as_dict() for found_one in found]
    for row in rows:
        _compare(row["id"], row["text"])
    return [row["id"] for row in rows]


def described(found) -> list[str]:
    """Return "id node=... value=... limit=..." of each finding, without what is None."""
    rows = [found_one if isinstance(found_one, dict) else found_one.as_dict() for found_one in found]
    parts = ("node", "value", "limit")
    return [
        " ".join([name, *("%s=%s" % (part, row[part]) for part in parts if row[part] is not None)])
        for name, row in zip(ids(found), rows)
    ]


def _compare(name, text):
    texts = _KNOWN.setdefault(name, [])
    if text in texts:
        return
    assert WRITE, "%s has another wording than golden/findings.yml: %s" % (name, text)
    texts.append(text)
    GOLDEN.parent.mkdir(exist_ok=True)
    rows = {key: sorted(_KNOWN[key]) for key in sorted(_KNOWN)}
    GOLDEN.write_text(HEADER + yaml.safe_dump(rows, width=80, allow_unicode=True))
