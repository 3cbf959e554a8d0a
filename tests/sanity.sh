#!/usr/bin/env bash
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Run ansible-test sanity of a newer ansible-core in a Debian 13 container: tests/sanity.sh VERSION [ARGUMENT...]
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/newer-python.sh
version=${1:?usage: tests/sanity.sh VERSION, such as 2.21}
newer_python "$version"

# ansible-test needs a path below ansible_collections. pip is installed from a wheel, not from ansible-test's own site.
home=$KUBEWRIGHT_CACHE/ansible-test/$version
collection=$KUBEWRIGHT_WORK/copy/ansible_collections/kubewright/cluster
pip=$(grep -oE "pip='[0-9.]+'" "$packages/ansible_test/_internal/python_requirements.py" | grep -oE '[0-9.]+')
mkdir -p "$home/.ansible/test/cache" "$home/wheels"
[ -e "$home/wheels/pip-$pip-py3-none-any.whl" ] || pip download -q --no-deps -d "$home/wheels" "pip==$pip"
cat >"$home/.ansible/test/cache/get_pip_${pip//./_}.py" <<PYTHON
import subprocess
import sys

wheel = "$home/wheels/pip-$pip-py3-none-any.whl"
sys.exit(subprocess.call([sys.executable, wheel + "/pip", "install", "-q", "--no-index", wheel]))
PYTHON
# Pass this machine's pip settings and proxies to the container.
settings=()
for name in $(compgen -e | grep -iE '^(PIP_|https?_proxy$|no_proxy$)'); do settings+=(-e "$name"); done
[ -z "${PIP_CERT:-}" ] || settings+=(-v "$PIP_CERT:$PIP_CERT:ro")
run_newer "${settings[@]}" -e HOME="$home" -w "$collection" "$image" /usr/bin/python3 "$packages/bin/ansible-test" sanity --python 3.13 "${@:2}"
