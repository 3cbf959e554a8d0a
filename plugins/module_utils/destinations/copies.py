# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The destinations of kube_backup: an archive goes to each, whatever happens at the others. Standard library only."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

from . import places, s3, sftp
from .places import Place, PlaceError

Settings = Mapping[str, Any]


def place_of(settings: Settings, work: str | None = None, proxy: Settings | None = None) -> Place:
    """Return a destination. settings: an entry of kube_backup.to. work: directory with space for an archive.

    proxy: as kube_http_proxy; that of the environment by default. Raise PlaceError.
    """
    if settings.get("s3"):
        return s3.Bucket(settings["s3"], proxy)
    if settings.get("sftp"):
        return sftp.Server(settings["sftp"], work)
    return places.Directory(settings["directory"])


def keep(
    wanted: Sequence[Settings], path: str, name: str, start: str, newest: int, work: str, proxy: Settings | None = None
) -> List[Dict[str, Any]]:
    """Keep an archive at all destinations. Return for each {place, deleted}, or {place, error, id}.

    See places.keep().
    """
    rows: List[Dict[str, Any]] = []
    for settings in wanted:
        row: Dict[str, Any] = {"place": ""}
        try:
            place = place_of(settings, work, proxy)
            row["place"] = place.label
            row["deleted"] = places.keep(place, path, name, start, newest)
        except PlaceError as error:
            row.update(error=str(error), id=error.id)
        rows.append(row)
    return rows


def failures(rows: Sequence[Mapping[str, Any]]) -> List[str]:
    """Return what went wrong, in words. rows: of keep()."""
    return [row["error"] for row in rows if row.get("error")]
