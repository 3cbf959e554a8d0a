# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields of KubeletConfiguration v1beta1 in Kubernetes 1.37, which has all of 1.36's and one more.

k8s.io/kubelet v0.37.2, config/v1beta1/types.go; ranges and choices: pkg/kubelet/apis/config/validation/validation.go.
"""

from __future__ import annotations

from .fields import (
    ADDRESSES,
    BOOL,
    DURATIONS,
    INTEGER,
    LIST,
    MAP,
    MAP_OF_BOOL,
    MAP_OF_TEXT,
    NOT_NEGATIVE,
    NUMBER,
    PERCENT,
    PORT,
    QUANTITY,
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
    address apiVersion cgroupRoot clusterDomain containerRuntimeEndpoint contentType
    healthzBindAddress imageServiceEndpoint kind kubeReservedCgroup kubeletCgroups podCIDR podLogsDir providerID
    reservedSystemCPUs resolvConf showHiddenMetricsForVersion staticPodPath staticPodURL systemCgroups
    systemReservedCgroup tlsCertFile tlsPrivateKeyFile volumePluginDir
"""
_DURATIONS = """
    containerLogMonitorInterval cpuCFSQuotaPeriod cpuManagerReconcilePeriod evictionPressureTransitionPeriod
    fileCheckFrequency httpCheckFrequency imageMaximumGCAge imageMinimumGCAge nodeStatusReportFrequency
    nodeStatusUpdateFrequency runtimeRequestTimeout shutdownGracePeriod shutdownGracePeriodCriticalPods
    streamingConnectionIdleTimeout syncFrequency volumeStatsAggPeriod
"""
_TEXT_LISTS = "allowedUnsafeSysctls preloadedImagesVerificationAllowlist tlsCipherSuites"
_TEXT_MAPS = (
    "cpuManagerPolicyOptions defaultPodSysctls kubeReserved qosReserved systemReserved topologyManagerPolicyOptions"
)
_THRESHOLDS = "evictionSoft evictionHard evictionMinimumReclaim"

FIELDS: Fields = {
    **dict.fromkeys(_BOOLS.split(), BOOL),
    **dict.fromkeys(_NOT_NEGATIVE.split(), NOT_NEGATIVE),
    **dict.fromkeys(_TEXTS_ONLY.split(), TEXT),
    **dict.fromkeys(_DURATIONS.split(), DURATIONS),
    **dict.fromkeys(_TEXT_LISTS.split(), TEXTS),
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
    "logging": MAP,
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
    "registerWithTaints": ListOf({"key": TEXT, "value": TEXT, "effect": TEXT, "timeAdded": TEXT}),
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
