#!/usr/bin/env bash
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Run one Molecule scenario from the beginning: tests/scenario.sh NAME
# State of a run that was killed (-9) is deleted first; the scenario removes its nodes before it creates new ones.
set -euo pipefail
cd "$(dirname "$0")/.."
name=${1:?name of a scenario in molecule/}
export MOLECULE_EPHEMERAL_DIRECTORY=$KUBEWRIGHT_WORK/molecule/$name
rm -rf "$MOLECULE_EPHEMERAL_DIRECTORY"
# A run that is stopped leaves no nodes.
trap 'trap "" TERM INT; molecule destroy -s "$name"; exit 143' TERM INT
molecule test -s "$name"
