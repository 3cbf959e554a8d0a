#!/usr/bin/env bash
# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Create a highly available Kubernetes cluster on container nodes of this machine. See ./quickstart.sh --help
set -euo pipefail
cd "$(dirname "$0")"

usage() {
    cat <<'TEXT'
usage: ./quickstart.sh [--single] [--k3s] [--name NAME] [--version VERSION]   a cluster on container nodes of this machine
       ./quickstart.sh -i INVENTORY [ARGUMENT...]                     a cluster on the machines of your inventory
       ./quickstart.sh --destroy [--name NAME]                        remove the local cluster

  --single            one node instead of three control planes and a worker
  --k3s               K3s instead of kubeadm. Needs K3S_ARTIFACTS: a directory with the files of a K3s release
                      (k3s, sha256sum-amd64.txt, k3s-airgap-images-amd64.tar.zst)
  --name NAME         name of the local cluster (default: demo); clusters with other names can run at the same time
  --version VERSION   Kubernetes version (default: 1.36.3; local clusters also 1.37.2)
  -i INVENTORY        your machines; the arguments that follow are passed to ansible-playbook (--check --diff, --limit, -e ...)

The programs of a local cluster are downloaded if upstream can be reached, or else built from Go modules, which takes
ten minutes to half an hour the first time. They are kept in $KUBEWRIGHT_CACHE (default ~/.cache/kubewright).
TEXT
}

name=demo version=1.36.3 control_planes=3 workers=1 k3s="" destroy="" inventory="" arguments=()
while [ $# -gt 0 ]; do
    case $1 in
        --single) control_planes=1 workers=0 ;;
        --name) name=${2:?--name needs a name} && shift ;;
        --version) version=${2:?--version needs a version} && shift ;;
        --k3s) k3s=--k3s ;;
        --destroy) destroy=yes ;;
        -i) inventory=${2:?-i needs an inventory} && shift 2 && arguments=("$@") && break ;;
        -h | --help) usage && exit ;;
        *) usage >&2 && exit 2 ;;
    esac
    shift
done

times=()
stage() {
    local title=$1 started=$SECONDS
    shift
    printf '\n== %s\n' "$title"
    "$@"
    times+=("$(printf '%5d s  %s' $((SECONDS - started)) "$title")")
}

set_up() { . tests/setup.sh env; }

make_nodes() {
    ansible-playbook kubewright.cluster.local -i localhost, -e local_name="$name" -e local_control_planes=$control_planes -e local_workers=$workers -e "@$KUBEWRIGHT_CACHE/lab-inputs.json"
}

install_cluster() { ansible-playbook kubewright.cluster.site -i "$inventory" "${arguments[@]}"; }

show_plan() {
    plan=$KUBEWRIGHT_WORK/plan.json
    ansible-playbook kubewright.cluster.plan -i "$inventory" -e plan_json="$plan" "${arguments[@]}" >"$KUBEWRIGHT_WORK/plan.log" || {
        cat "$KUBEWRIGHT_WORK/plan.log"
        return 1
    }
    plan_in_words
}

plan_in_words() {
    PYTHONPATH=$ANSIBLE_COLLECTIONS_PATH python - "$plan" <<'PYTHON'
import json, sys
from ansible_collections.kubewright.cluster.plugins.plugin_utils.report import plan_text as report
print("\n".join(report.text(json.load(open(sys.argv[1])))))
PYTHON
}

# The lab builds a kubectl for this machine; otherwise use that of the first control plane.
nodes() {
    if [ -x "${kubectl:-}" ]; then
        "$kubectl" --kubeconfig "$kubeconfig" get nodes -o wide
    else
        ansible kube_control_plane[0]:server[0] -i "$inventory" -m ansible.builtin.command \
            -a "kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes -o wide" --become
    fi
}

summary() {
    printf '\n== The plan that was applied\n'
    plan_in_words
    printf '\n== Seconds\n'
    printf '%s\n' "${times[@]}"
}

if [ -n "$k3s" ] && [ -z "$inventory$destroy" ] && [ ! -d "${K3S_ARTIFACTS:-}" ]; then
    echo "--k3s needs the files of a K3s release: set K3S_ARTIFACTS to a directory with k3s, sha256sum-amd64.txt and the image archive" \
        "from https://github.com/k3s-io/k3s/releases. To install K3s on your own machines, use: ./quickstart.sh -i INVENTORY -e kube_distribution=k3s" >&2
    exit 2
fi

stage "Set up (packages, virtual environment)" set_up

if [ -n "$inventory" ]; then
    stage "Plan" show_plan
    stage "Kubernetes" install_cluster
    summary
    exit
fi

if [ -n "$destroy" ]; then
    ansible-playbook kubewright.cluster.local -i localhost, -e local_name="$name" -e local_state=absent
    printf '\nThe cluster is removed. To stop the servers of the lab: tests/lab/lab down. The cache is in %s.\n' "$KUBEWRIGHT_CACHE"
    exit
fi

inventory=$KUBEWRIGHT_CACHE/clusters/$name/inventory.yml
kubeconfig=$KUBEWRIGHT_CACHE/clusters/$name/kubeconfig
arguments=(-e kube_version="$version" ${k3s:+-e kube_distribution=k3s})
stage "Programs and images" tests/lab/lab build --kubernetes "$version" ${k3s:+$k3s}
stage "Registry and artifact server" tests/lab/lab up
stage "Nodes" make_nodes
stage "Plan" show_plan
stage "Kubernetes $version" install_cluster
kubectl=$(find "$KUBEWRIGHT_CACHE/artifacts/dl.k8s.io/release/v$version" -name kubectl -path "*/$(go env GOARCH 2>/dev/null || echo amd64)/*" 2>/dev/null | head -1)
summary
printf '\n== Nodes\n'
nodes
cat <<TEXT

== Next steps
kubectl:      export KUBECONFIG=$kubeconfig
${kubectl:+              $kubectl get pods -A}
a node:       $(command -v podman >/dev/null && echo podman || echo docker) exec -it $name-cp1 bash
run again:    ./quickstart.sh$([ $control_planes = 3 ] || echo " --single")${k3s:+ $k3s} --name $name --version $version    (changes nothing)
remove it:    ./quickstart.sh --destroy --name $name
TEXT
