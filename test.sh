#!/usr/bin/env bash
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Run what CI runs: ./test.sh. Everything: ./test.sh all. Some stages: ./test.sh lint units molecule:kubeadm-ha. See ./test.sh --help.
set -eu
cd "$(dirname "$0")"
packages=()
case " $* " in *" all "* | *" page "*) packages+=(tests/page/apt.txt) ;; esac
case " $* " in *" all "* | *" architectures "*) packages+=(tests/architectures/apt.txt) ;; esac
case " $* " in *" all "* | *" databases "*) packages+=(tests/databases/apt.txt) ;; esac
. tests/setup.sh env "${packages[@]}"
exec python -m tests.stages "$@"
