# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields of KubeletConfiguration v1beta1 in Kubernetes 1.37, which has all of 1.36's and one more.

k8s.io/kubelet v0.37.2, config/v1beta1/types.go; ranges and choices: pkg/kubelet/apis/config/validation/validation.go.
"""

from __future__ import annotations

from .fields import (
    ADDRESS,
    ADDRESSES,
    BOOL,
    CPUS,
    DURATIONS,
    INTEGER,
    LIST,
    MAP,
    MAP_OF_BOOL,
    MAP_OF_TEXT,
    NOT_NEGATIVE,
    NUMBER,
    PATH,
    PERCENT,
    PORT,
    QUANTITY,
    SYSCTLS,
    TEXT,
    TEXTS,
    THRESHOLD,
    Fields,
    Kind,
    ListOf,
)

# Signals of evictions: pkg/kubelet/eviction/api/types.go.
SIGNALS = tuple(
    "memory.available nodefs.available nodefs.inodesFree imagefs.available imagefs.inodesFree containerfs.available "
    "containerfs.inodesFree allocatableMemory.available pid.available".split()
)
_BOOLS = """
    cgroupsPerQOS cpuCFSQuota enableContentionProfiling enableControllerAttachDetach enableDebugFlagsHandler
    enableDebuggingHandlers enableProfilingHandler enableServer enableSystemLogHandler enableSystemLogQuery
    failCgroupV1 failSwapOn kernelMemcgNotification localStorageCapacityIsolation makeIPTablesUtilChains
    mergeDefaultEvictionSettings protectKernelDefaults registerNode rotateCertificates runOnce seccompDefault
    serializeImagePulls serverTLSBootstrap singleProcessOOMKill
"""
_NOT_NEGATIVE = """
    containerLogMaxWorkers eventBurst eventRecordQPS evictionMaxPodGracePeriod kubeAPIBurst
    kubeAPIQPS maxOpenFiles maxPods podsPerCore registryBurst registryPullQPS
"""
_TEXTS_ONLY = """
    apiVersion cgroupRoot clusterDomain containerRuntimeEndpoint contentType
    healthzBindAddress imageServiceEndpoint kind kubeReservedCgroup kubeletCgroups podCIDR providerID
    showHiddenMetricsForVersion staticPodURL systemCgroups systemReservedCgroup
"""
_PATHS = "podLogsDir resolvConf staticPodPath tlsCertFile tlsPrivateKeyFile volumePluginDir"
_DURATIONS = """
    containerLogMonitorInterval cpuCFSQuotaPeriod cpuManagerReconcilePeriod evictionPressureTransitionPeriod
    fileCheckFrequency httpCheckFrequency imageMaximumGCAge imageMinimumGCAge nodeStatusReportFrequency
    nodeStatusUpdateFrequency runtimeRequestTimeout shutdownGracePeriod shutdownGracePeriodCriticalPods
    streamingConnectionIdleTimeout syncFrequency volumeStatsAggPeriod
"""
_TEXT_LISTS = "preloadedImagesVerificationAllowlist"
# Those of Go's crypto/tls that can be chosen: k8s.io/component-base, cli/flag/ciphersuites_flag.go
_CIPHERS = tuple(
    "TLS_%s" % name
    for name in """
    AES_128_GCM_SHA256 AES_256_GCM_SHA384 CHACHA20_POLY1305_SHA256
    ECDHE_ECDSA_WITH_AES_128_CBC_SHA ECDHE_ECDSA_WITH_AES_128_CBC_SHA256 ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
    ECDHE_ECDSA_WITH_AES_256_CBC_SHA ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 ECDHE_ECDSA_WITH_CHACHA20_POLY1305
    ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 ECDHE_ECDSA_WITH_RC4_128_SHA ECDHE_RSA_WITH_3DES_EDE_CBC_SHA
    ECDHE_RSA_WITH_AES_128_CBC_SHA ECDHE_RSA_WITH_AES_128_CBC_SHA256 ECDHE_RSA_WITH_AES_128_GCM_SHA256
    ECDHE_RSA_WITH_AES_256_CBC_SHA ECDHE_RSA_WITH_AES_256_GCM_SHA384 ECDHE_RSA_WITH_CHACHA20_POLY1305
    ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 ECDHE_RSA_WITH_RC4_128_SHA RSA_WITH_3DES_EDE_CBC_SHA
    RSA_WITH_AES_128_CBC_SHA RSA_WITH_AES_128_CBC_SHA256 RSA_WITH_AES_128_GCM_SHA256 RSA_WITH_AES_256_CBC_SHA
    RSA_WITH_AES_256_GCM_SHA384 RSA_WITH_RC4_128_SHA
    """.split()
)
# Fields of k8s.io/component-base, logs/api/v1/types.go
LOGGING: Fields = {
    "format": Kind("text", choices=("text", "json")),
    "verbosity": NOT_NEGATIVE,
    "vmodule": LIST,
    "options": MAP,
    "flushFrequency": Kind("duration or nanoseconds"),
}
EFFECT = Kind("text", choices=("NoSchedule", "PreferNoSchedule", "NoExecute"))
_TEXT_MAPS = (
    "cpuManagerPolicyOptions defaultPodSysctls kubeReserved qosReserved systemReserved topologyManagerPolicyOptions"
)
_THRESHOLDS = "evictionSoft evictionHard evictionMinimumReclaim"

FIELDS: Fields = {
    **dict.fromkeys(_BOOLS.split(), BOOL),
    **dict.fromkeys(_NOT_NEGATIVE.split(), NOT_NEGATIVE),
    **dict.fromkeys(_TEXTS_ONLY.split(), TEXT),
    **dict.fromkeys(_DURATIONS.split(), DURATIONS),
    **dict.fromkeys(_PATHS.split(), PATH),
    **dict.fromkeys(_TEXT_LISTS.split(), TEXTS),
    "address": ADDRESS,
    "allowedUnsafeSysctls": SYSCTLS,
    "reservedSystemCPUs": CPUS,
    "tlsCipherSuites": Kind("texts", choices=_CIPHERS),
    **dict.fromkeys(_TEXT_MAPS.split(), MAP_OF_TEXT),
    **dict.fromkeys(_THRESHOLDS.split(), dict.fromkeys(SIGNALS, THRESHOLD)),
    "evictionSoftGracePeriod": dict.fromkeys(SIGNALS, DURATIONS),
    "authentication": {
        "anonymous": {"enabled": BOOL},
        "webhook": {"enabled": BOOL, "cacheTTL": DURATIONS},
        "x509": {"clientCAFile": TEXT},
    },
    "authorization": {
        "mode": Kind("text", choices=("AlwaysAllow", "Webhook")),
        "webhook": {"cacheAuthorizedTTL": DURATIONS, "cacheUnauthorizedTTL": DURATIONS},
    },
    "cgroupDriver": Kind("text", choices=("cgroupfs", "systemd")),
    "configMapAndSecretChangeDetectionStrategy": Kind("text", choices=("Get", "Cache", "Watch")),
    "cpuManagerPolicy": Kind("text", choices=("none", "static")),
    "crashLoopBackOff": {"maxContainerRestartPeriod": DURATIONS},
    "clusterDNS": ADDRESSES,
    "containerLogMaxFiles": Kind("int", 2),
    "containerLogMaxSize": QUANTITY,
    "enforceNodeAllocatable": Kind(
        "texts",
        choices=(
            "none",
            "pods",
            "system-reserved",
            "system-reserved-compressible",
            "kube-reserved",
            "kube-reserved-compressible",
        ),
    ),
    "featureGates": MAP_OF_BOOL,
    "hairpinMode": Kind("text", choices=("promiscuous-bridge", "hairpin-veth", "none")),
    "healthzPort": Kind("int", 0, 65535),
    "imageGCHighThresholdPercent": PERCENT,
    "imageGCLowThresholdPercent": PERCENT,
    "imagePullCredentialsVerificationPolicy": Kind(
        "text",
        choices=("NeverVerify", "NeverVerifyPreloadedImages", "NeverVerifyAllowlistedImages", "AlwaysVerify"),
    ),
    "iptablesDropBit": Kind("int", 0, 31),
    "iptablesMasqueradeBit": Kind("int", 0, 31),
    "logging": LOGGING,
    "maxParallelImagePulls": Kind("int", 1),
    "memoryManagerPolicy": Kind("text", choices=("None", "Static")),
    "memoryReservationPolicy": TEXT,
    "memorySwap": {"swapBehavior": Kind("text", choices=("", "NoSwap", "LimitedSwap"))},
    "memoryThrottlingFactor": NUMBER,
    "nodeLeaseDurationSeconds": Kind("int", 1),
    "nodeStatusMaxImages": Kind("int", -1),
    "oomScoreAdj": Kind("int", -1000, 1000),
    "podPidsLimit": Kind("int", -1),
    "port": PORT,
    "readOnlyPort": Kind("int", 0, 65535),
    "registerWithTaints": ListOf({"key": TEXT, "value": TEXT, "effect": EFFECT, "timeAdded": TEXT}, ("key", "effect")),
    "reservedMemory": ListOf({"numaNode": INTEGER, "limits": MAP}),
    "shutdownGracePeriodByPodPriority": ListOf({"priority": INTEGER, "shutdownGracePeriodSeconds": NOT_NEGATIVE}),
    "staticPodURLHeader": MAP,
    "tlsCurvePreferences": LIST,
    "tlsMinVersion": Kind("text", choices=("VersionTLS10", "VersionTLS11", "VersionTLS12", "VersionTLS13")),
    "topologyManagerPolicy": Kind("text", choices=("none", "best-effort", "restricted", "single-numa-node")),
    "topologyManagerScope": Kind("text", choices=("container", "pod")),
    "tracing": {"endpoint": TEXT, "samplingRatePerMillion": NOT_NEGATIVE},
    "userNamespaces": {"idsPerPod": NOT_NEGATIVE},
}
