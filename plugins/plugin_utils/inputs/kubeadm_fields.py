# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields of kubeadm's configuration v1beta4 and of kube-proxy's v1alpha1, in Kubernetes 1.36.

k8s.io/kubernetes v1.36.3, cmd/kubeadm/app/apis/kubeadm/v1beta4/types.go; k8s.io/kube-proxy v0.36.3,
config/v1alpha1/types.go.
"""

from __future__ import annotations

from .fields import (
    ADDRESS,
    ADDRESS_AND_PORT,
    BOOL,
    DURATIONS,
    INTEGER,
    LIST,
    MAP,
    MAP_OF_BOOL,
    NODE_PORT_ADDRESSES,
    NOT_NEGATIVE,
    NUMBER,
    PATH,
    PHASES,
    PORT,
    REPOSITORY,
    TEXT,
    TEXTS,
    Fields,
    Kind,
    ListOf,
)
from .kubelet_fields import EFFECT, LOGGING

_HEAD: Fields = {"apiVersion": TEXT, "kind": TEXT}
_IMAGE: Fields = {"imageRepository": REPOSITORY, "imageTag": TEXT}
_ARGUMENTS = ListOf({"name": TEXT, "value": TEXT})
_ENVIRONMENT = ListOf({"name": TEXT, "value": TEXT, "valueFrom": MAP})
# k8s.io/api, core/v1/types.go, HostPathType; empty for no check
_PATH_TYPES = ("", *"DirectoryOrCreate Directory FileOrCreate File Socket CharDevice BlockDevice".split())
_COMPONENT: Fields = {
    "extraArgs": _ARGUMENTS,
    "extraEnvs": _ENVIRONMENT,
    "extraVolumes": ListOf(
        {
            "name": TEXT,
            "hostPath": PATH,
            "mountPath": PATH,
            "readOnly": BOOL,
            "pathType": Kind("text", choices=_PATH_TYPES),
        },
        ("name", "hostPath", "mountPath"),
    ),
}
CLUSTER: Fields = {
    **_HEAD,
    "apiServer": {**_COMPONENT, "certSANs": TEXTS},
    "caCertificateValidityPeriod": DURATIONS,
    "certificateValidityPeriod": DURATIONS,
    "certificatesDir": TEXT,
    "clusterName": TEXT,
    "controlPlaneEndpoint": TEXT,
    "controllerManager": _COMPONENT,
    "dns": {**_IMAGE, "disabled": BOOL},
    "encryptionAlgorithm": Kind("text", choices=("RSA-2048", "RSA-3072", "RSA-4096", "ECDSA-P256", "ECDSA-P384")),
    "etcd": {
        "local": {
            **_IMAGE,
            "dataDir": TEXT,
            "extraArgs": _ARGUMENTS,
            "extraEnvs": _ENVIRONMENT,
            "serverCertSANs": TEXTS,
            "peerCertSANs": TEXTS,
        },
        "external": {"endpoints": TEXTS, "httpEndpoints": TEXTS, "caFile": PATH, "certFile": PATH, "keyFile": PATH},
    },
    "featureGates": MAP_OF_BOOL,
    "imageRepository": REPOSITORY,
    "kubernetesVersion": TEXT,
    "networking": {"serviceSubnet": TEXT, "podSubnet": TEXT, "dnsDomain": TEXT},
    "proxy": {"disabled": BOOL},
    "scheduler": _COMPONENT,
}
_WAITS = "controlPlaneComponentHealthCheck kubeletHealthCheck kubernetesAPICall etcdAPICall tlsBootstrap discovery"
_API_ENDPOINT: Fields = {"advertiseAddress": TEXT, "bindPort": PORT}
_NODE: Fields = {
    **_HEAD,
    "dryRun": BOOL,
    "nodeRegistration": {
        "name": TEXT,
        "criSocket": TEXT,
        "taints": ListOf({"key": TEXT, "value": TEXT, "effect": EFFECT, "timeAdded": TEXT}),
        "kubeletExtraArgs": _ARGUMENTS,
        "ignorePreflightErrors": TEXTS,
        "imagePullPolicy": Kind("text", choices=("Always", "IfNotPresent", "Never")),
        "imagePullSerial": BOOL,
    },
    "patches": {"directory": PATH},
    "skipPhases": PHASES,
    "timeouts": dict.fromkeys([*_WAITS.split(), "upgradeManifests"], DURATIONS),
}
INIT: Fields = {**_NODE, "bootstrapTokens": LIST, "certificateKey": TEXT, "localAPIEndpoint": _API_ENDPOINT}
JOIN: Fields = {
    **_NODE,
    "caCertPath": TEXT,
    "controlPlane": {"localAPIEndpoint": _API_ENDPOINT, "certificateKey": TEXT},
    "discovery": MAP,
}
_RULES: Fields = {"masqueradeBit": Kind("int", 0, 31), "masqueradeAll": BOOL}
_SYNC: Fields = {"syncPeriod": DURATIONS, "minSyncPeriod": DURATIONS}
PROXY: Fields = {
    **_HEAD,
    "bindAddress": ADDRESS,
    "bindAddressHardFail": BOOL,
    "clientConnection": {
        "kubeconfig": TEXT,
        "acceptContentTypes": TEXT,
        "contentType": TEXT,
        "qps": NUMBER,
        "burst": INTEGER,
    },
    "clusterCIDR": TEXT,
    "configSyncPeriod": DURATIONS,
    "conntrack": {
        "maxPerCore": NOT_NEGATIVE,
        "min": NOT_NEGATIVE,
        "tcpBeLiberal": BOOL,
        "tcpCloseWaitTimeout": DURATIONS,
        "tcpEstablishedTimeout": DURATIONS,
        "udpStreamTimeout": DURATIONS,
        "udpTimeout": DURATIONS,
    },
    "detectLocal": {"bridgeInterface": TEXT, "interfaceNamePrefix": TEXT},
    "detectLocalMode": Kind("text", choices=("ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix")),
    "enableProfiling": BOOL,
    "featureGates": MAP_OF_BOOL,
    "healthzBindAddress": ADDRESS_AND_PORT,
    "hostnameOverride": TEXT,
    "iptables": {**_RULES, **_SYNC, "localhostNodePorts": BOOL},
    "ipvs": {
        **_SYNC,
        "excludeCIDRs": TEXTS,
        "scheduler": TEXT,
        "strictARP": BOOL,
        "tcpFinTimeout": DURATIONS,
        "tcpTimeout": DURATIONS,
        "udpTimeout": DURATIONS,
    },
    "logging": LOGGING,
    "metricsBindAddress": ADDRESS_AND_PORT,
    "mode": TEXT,
    "nftables": {**_RULES, **_SYNC},
    "nodePortAddresses": NODE_PORT_ADDRESSES,
    "oomScoreAdj": Kind("int", -1000, 1000),
    "portRange": TEXT,
    "showHiddenMetricsForVersion": TEXT,
    "winkernel": MAP,
    "windowsRunAsService": BOOL,
}
