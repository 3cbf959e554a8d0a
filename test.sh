#!/usr/bin/env bash
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# All tests, on real clusters of container nodes: ./test.sh. Some of them: ./test.sh lint units molecule:kubeadm-ha. See ./test.sh --help.
set -eu
cd "$(dirname "$0")"
. tests/setup.sh env tests/page/apt.txt tests/architectures/apt.txt
exec python -m tests.stages "$@"
