# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The feature gates of Kubernetes' components. Data only. A component that gets an unknown gate does not start.

https://kubernetes.io/docs/reference/command-line-tools-reference/feature-gates/
"""

from __future__ import annotations

# All gates of Kubernetes 1.34.4, 1.35.4, 1.36.3 and 1.37.2: pkg/features, apiserver, apiextensions-apiserver,
# component-base, client-go, controller-manager and cloud-provider.
GATES = frozenset(
    """
    APIResponseCompression APIServerIdentity APIServerTracing APIServerWebhookAuthenticationToken
    APIServingWithRoutine AggregatedDiscoveryRemoveBetaType AllowDNSOnlyNodeCSR
    AllowInsecureKubeletCertificateSigningRequests AllowOverwriteTerminationGracePeriodSeconds
    AllowParsingUserUIDFromCertAuth AllowServiceExternalIPs AllowServiceLBStatusOnNonLB
    AllowUnsafeMalformedObjectDeletion AlphaFeature AnonymousAuthConfigurableEndpoints AnyVolumeDataSource
    AtomicFIFO AtomicWriteVolumeUserFields AuthorizeNodeWithSelectors AuthorizePodWebsocketUpgradeCreatePermission
    AuthorizeWithSelectors BetaOffFeature BetaOnFeature BtreeWatchCache CBORServingAndStorage
    CPUManagerPolicyAlphaOptions CPUManagerPolicyBetaOptions CPUManagerPolicyOptions CRDObservedGenerationTracking
    CRDValidationRatcheting CRIListStreaming CSIMigrationPortworx CSIServiceAccountTokenSecrets CSIVolumeHealth
    ChangeContainerStatusOnKubeletRestart ClearingNominatedNodeNameAfterBinding ClientsAllowCARotation
    ClientsAllowCBOR ClientsAllowTLSCacheGC ClientsPreferCBOR CloudControllerManagerWatchBasedRoutesReconciliation
    CloudControllerManagerWebhook ClusterTrustBundle ClusterTrustBundleProjection ComponentFlagz ComponentSLIs
    ComponentStatusz CompositePodGroup ConcurrentWatchObjectDecode ConsistentListFromCache
    ConsistentListFromCacheSkipTimeoutFallback ConstrainedImpersonation ContainerCheckpoint ContainerRestartRules
    ContainerStopSignals ContextualLogging ControllerManagerReleaseLeaderElectionLockOnExit
    CoordinatedLeaderElection CronJobsScheduledAnnotation CrossNamespaceVolumeDataSource CustomCPUCFSQuotaPeriod
    CustomResourceFieldSelectors DRAAdminAccess DRAConsumableCapacity DRADerivedAttributes
    DRADeviceBindingConditions DRADeviceCompatibilityGroups DRADeviceTaintRules DRADeviceTaints DRAExtendedResource
    DRAFractionalCapacityRange DRAListTypeAttributes DRANodeAllocatableResources DRAOptionalNodeOperations
    DRAPartitionableDevices DRAPartitionableDevicesType DRAPrioritizedList DRAResourceClaimDeviceStatus
    DRAResourceClaimGranularStatusAuthorization DRAResourcePoolStatus DRASchedulerFilterTimeout
    DRAWorkloadResourceClaims DeclarativeValidation DeclarativeValidationBeta DeclarativeValidationTakeover
    DefaultPodSysctls DeploymentReplicaSetTerminatingReplicas DetectCacheInconsistency DisableAllocatorDualWrite
    DisableCPUQuotaWithExclusiveCPUs DisableNodeKubeProxyVersion DynamicResourceAllocation EmptyDirVolumeMode
    EnvFiles EtcdRangeStream EventedPLEG EvictionRequestAPI ExcludeAdmissionWebhookVirtualResources ExecProbeTimeout
    ExtendWebSocketsToKubelet ExternalServiceAccountTokenSigner FeatureA FeatureB FeatureC FeatureD FeatureUnknown
    GAFeature GRPCContainerProbeTLS GangScheduling GenericWorkload GitRepoVolumeDriver GracefulNodeShutdown
    GracefulNodeShutdownBasedOnPodPriority H2CContainerProbe HPAConfigurableTolerance HPAGeneration
    HPAOptimizedSelectorStore HPAScaleToZero HonorPVReclaimPolicy HostnameOverride HugepageAwareEviction
    ImageMaximumGCAge ImageVolume ImageVolumeWithDigest InOrderInformers InOrderInformersBatchProcess
    InPlacePodLevelResourcesVerticalScaling InPlacePodVerticalScaling InPlacePodVerticalScalingAllocatedStatus
    InPlacePodVerticalScalingExclusiveCPUs InPlacePodVerticalScalingExclusiveMemory
    InPlacePodVerticalScalingInitContainers InPlacePodVerticalScalingMemoryBackedVolumes
    InPlacePodVerticalScalingSchedulerPreemption InTreePluginPortworxUnregister InformerResourceVersion
    InterPodAffinityHostnameFastPath JobBackoffLimitPerIndex JobManagedBy JobPodReplacementPolicy JobSuccessPolicy
    KMSv1 KubeProxyIPVS KubeProxyNFTablesLocalhostNodePorts KubeletAllocatedPodsEndpoint KubeletCgroupDriverFromCRI
    KubeletCrashLoopBackOffMax KubeletEnsureSecretPulledImages KubeletFineGrainedAuthz KubeletInUserNamespace
    KubeletPSI KubeletPodResourcesDynamicResources KubeletPodResourcesGet KubeletPodResourcesListUseActivePods
    KubeletRegistrationGetOnExistsOnly KubeletSeparateDiskGC KubeletServiceAccountTokenForCredentialProviders
    KubeletTracing ListFromCacheSnapshot LoadBalancerIPMode LocalStorageCapacityIsolationFSQuotaMonitoring
    LogarithmicScaleDown LoggingAlphaOptions LoggingBetaOptions LoggingStableOptions
    ManifestBasedAdmissionControlConfig MatchLabelKeysInPodAffinity MatchLabelKeysInPodTopologySpread
    MatchLabelKeysInPodTopologySpreadSelectorMerge MaxUnavailableStatefulSet MemoryManager MemoryQoS
    MultiCIDRServiceAllocator MutableCSINodeAllocatableCount MutablePVNodeAffinity
    MutablePodResourcesForSuspendedJobs MutableSchedulingDirectivesForSuspendedJobs MutatingAdmissionPolicy
    MyFeature NFTablesNetlink NFTablesProxyMode NativeHistograms NodeControllerLeaseCircuitBreaker
    NodeDeclaredFeatures NodeInclusionPolicyInPodTopologySpread NodeLifecycleConditions NodeLogQuery NodeSwap
    NominatedNodeNameForExpectation OpenAPIEnums OpportunisticBatching OrderedNamespaceDeletion PLEGOnDemandRelist
    PersistentVolumeClaimUnusedSinceTime PodAndContainerStatsFromCRI PodCertificateRequest PodDeletionCost
    PodGroupPreemptionPolicy PodIndexLabel PodLevelResourceManagers PodLevelResources PodLevelResourcesFixDefaulting
    PodLevelResourcesFixKubeletQOSClass PodLifecycleSleepAction PodLifecycleSleepActionAllowZero
    PodLogsQuerySplitStreams PodObservedGenerationTracking PodReadyToStartContainersCondition PodSchedulingReadiness
    PodTopologyLabelsAdmission PodsAPI PortForwardWebsockets PreferSameTrafficDistribution
    PreventStaticPodAPIReferences ProbeHostPodSecurityStandards ProcMountType QOSReserved
    RecoverVolumeExpansionFailure RecursiveReadOnlyMounts ReduceDefaultCrashLoopBackOffDecay
    RelaxedDNSSearchValidation RelaxedEnvironmentVariableValidation RelaxedServiceNameValidation
    ReloadKubeletClientCAFile ReloadKubeletServerCertificateFile RemoteRequestHeaderUID
    ResilientWatchCacheInitialization ResourceHealthStatus ResourceHealthStatusMessage
    RestartAllContainersOnContainerExits RetryGenerateName RotateKubeletServerCertificate RuntimeClassInImageCriApi
    SELinuxChangePolicy SELinuxMount SELinuxMountReadWriteOncePod SchedulerAsyncAPICalls SchedulerAsyncPreemption
    SchedulerPopFromBackoffQ SchedulerPreQueueingHints SchedulerQueueingHints SeparateCacheWatchRPC
    SeparateTaintEvictionController ServiceAccountNodeAudienceRestriction ServiceAccountTokenJTI
    ServiceAccountTokenNodeBinding ServiceAccountTokenNodeBindingValidation ServiceAccountTokenPodNodeInfo
    ServiceCIDRStatusFieldWiping ServiceTrafficDistribution ShardedListAndWatch SidecarContainers
    SizeBasedListCostEstimate SizeMemoryBackedVolumes StaleControllerConsistencyDaemonSet
    StaleControllerConsistencyHPA StaleControllerConsistencyJob StaleControllerConsistencyReplicaSet
    StaleControllerConsistencyStatefulSet StatefulSetAutoDeletePVC StatefulSetRecreateStrategy
    StatefulSetSemanticRevisionComparison StorageCapacityScoring StorageNamespaceIndex StorageVersionAPI
    StorageVersionHash StorageVersionMigrator StreamingCollectionEncodingToJSON
    StreamingCollectionEncodingToProtobuf StrictCostEnforcementForVAP StrictCostEnforcementForWebhooks
    StrictIPCIDRValidation StructuredAuthenticationConfiguration StructuredAuthenticationConfigurationEgressSelector
    StructuredAuthenticationConfigurationJWKSMetrics StructuredAuthorizationConfiguration SupplementalGroupsPolicy
    SystemdWatchdog TaintTolerationComparisonOperators TestA TestAlpha TestAlphaEnabled TestAlphaNoVersion TestB
    TestBeta TestBetaDisabled TestBetaNoVersion TestCompatA TestCompatB TestCompatC TestCompatibility TestDeprecated
    TestDeprecatedNoVersion TestFastBeta TestGA TestGANoVersion TestLatestFastBeta TestLockedFalse TestLockedTrue
    TestPreAlpha TokenRequestServiceAccountUIDValidation TopologyAwareHints TopologyAwareWorkloadScheduling
    TopologyManagerPolicyAlphaOptions TopologyManagerPolicyBetaOptions TopologyManagerPolicyOptions
    TranslateStreamCloseWebsocketRequests UnauthenticatedHTTP2DOSMitigation UnknownVersionInteroperabilityProxy
    UnlockWhileProcessingFIFO UserNamespacesHostNetworkSupport UserNamespacesPodSecurityStandards
    UserNamespacesSupport VolumeAttributesClass VolumeBindMountOptions VolumeLimitScaling
    WatchCacheInitializationPostStartHook WatchFromStorageWithoutResourceVersion WatchList WatchListClient
    WatchListCompression WebhookRoundTripLoadBalancing WinDSR WinOverlay WindowsCPUAndMemoryAffinity
    WindowsGracefulNodeShutdown WindowsHostNetwork WorkloadAwarePreemption WorkloadWithJob
    """.split()
) | {"AllAlpha", "AllBeta"}
# Gates that a release brought. Those of 1.36 may be of 1.35. One that a patch brought to an older release, too, is not
# among them.
NEW_GATES: dict[str, frozenset[str]] = {
    "1.35": frozenset(
        """
        AllowServiceExternalIPs AlphaFeature AtomicFIFO AuthorizePodWebsocketUpgradeCreatePermission BetaOffFeature
        BetaOnFeature CRDObservedGenerationTracking CRIListStreaming CSIServiceAccountTokenSecrets
        ChangeContainerStatusOnKubeletRestart ClientsAllowCARotation ClientsAllowTLSCacheGC
        CloudControllerManagerWatchBasedRoutesReconciliation ConstrainedImpersonation
        ControllerManagerReleaseLeaderElectionLockOnExit DRADeviceTaintRules DRAListTypeAttributes
        DRANodeAllocatableResources DRAResourceClaimGranularStatusAuthorization DRAResourcePoolStatus
        DRAWorkloadResourceClaims DeclarativeValidationBeta ExtendWebSocketsToKubelet FeatureA FeatureB FeatureC
        FeatureD FeatureUnknown GAFeature GangScheduling GenericWorkload ImageVolumeWithDigest
        InOrderInformersBatchProcess InPlacePodLevelResourcesVerticalScaling InPlacePodVerticalScalingInitContainers
        ManifestBasedAdmissionControlConfig MutablePVNodeAffinity MutablePodResourcesForSuspendedJobs
        MutableSchedulingDirectivesForSuspendedJobs NativeHistograms NodeDeclaredFeatures OpportunisticBatching
        PLEGOnDemandRelist PersistentVolumeClaimUnusedSinceTime PodLevelResourceManagers PodsAPI
        ResourceHealthStatusMessage RestartAllContainersOnContainerExits ServiceCIDRStatusFieldWiping
        ShardedListAndWatch StaleControllerConsistencyDaemonSet StaleControllerConsistencyJob
        StaleControllerConsistencyReplicaSet StaleControllerConsistencyStatefulSet
        StructuredAuthenticationConfigurationJWKSMetrics
        TaintTolerationComparisonOperators TestCompatA TestCompatB TestCompatC TestCompatibility TestFastBeta
        TestLatestFastBeta TopologyAwareWorkloadScheduling UnlockWhileProcessingFIFO
        UserNamespacesHostNetworkSupport VolumeLimitScaling WorkloadAwarePreemption WorkloadWithJob
    """.split()
    ),
    "1.37": frozenset(
        """
        APIServerWebhookAuthenticationToken AtomicWriteVolumeUserFields CompositePodGroup
        ConsistentListFromCacheSkipTimeoutFallback DRADerivedAttributes DRADeviceCompatibilityGroups
        DRAFractionalCapacityRange DRAOptionalNodeOperations DRAPartitionableDevicesType DefaultPodSysctls
        EmptyDirVolumeMode EtcdRangeStream EvictionRequestAPI ExcludeAdmissionWebhookVirtualResources
        GRPCContainerProbeTLS H2CContainerProbe HPAGeneration HPAOptimizedSelectorStore HugepageAwareEviction
        InPlacePodVerticalScalingMemoryBackedVolumes InPlacePodVerticalScalingSchedulerPreemption
        InterPodAffinityHostnameFastPath KubeProxyIPVS KubeProxyNFTablesLocalhostNodePorts
        KubeletAllocatedPodsEndpoint NFTablesNetlink NodeControllerLeaseCircuitBreaker NodeLifecycleConditions
        PodGroupPreemptionPolicy PodLevelResourcesFixDefaulting PodLevelResourcesFixKubeletQOSClass
        SchedulerPreQueueingHints StaleControllerConsistencyHPA StatefulSetRecreateStrategy VolumeBindMountOptions
        WatchListCompression WebhookRoundTripLoadBalancing
    """.split()
    ),
}
# Removed feature gates of the components by the release that removed them: pkg/features/kube_features.go and
# staging/src/k8s.io/apiserver/pkg/features/kube_features.go of kubernetes/kubernetes, 1.34.4 to 1.37.2 compared.
REMOVED_GATES: dict[str, tuple[str, ...]] = {
    "1.35": (
        "AllowServiceLBStatusOnNonLB",
        "CronJobsScheduledAnnotation",
        "LoadBalancerIPMode",
        "PodIndexLabel",
        "ProbeHostPodSecurityStandards",
        "SizeMemoryBackedVolumes",
        "StatefulSetAutoDeletePVC",
        "StrictCostEnforcementForVAP",
        "StrictCostEnforcementForWebhooks",
        "UserNamespacesPodSecurityStandards",
    ),
    "1.36": (
        "CSIMigrationPortworx",
        "HonorPVReclaimPolicy",
        "InPlacePodVerticalScalingAllocatedStatus",
        "InTreePluginPortworxUnregister",
        "MemoryManager",
        "ServiceTrafficDistribution",
        "StructuredAuthorizationConfiguration",
        "TopologyAwareHints",
        "WatchFromStorageWithoutResourceVersion",
    ),
    "1.37": (
        "APIServerTracing",
        "AnonymousAuthConfigurableEndpoints",
        "AnyVolumeDataSource",
        "AuthorizeNodeWithSelectors",
        "AuthorizeWithSelectors",
        "BtreeWatchCache",
        "ConsistentListFromCache",
        "GangScheduling",
        "JobBackoffLimitPerIndex",
        "JobPodReplacementPolicy",
        "JobSuccessPolicy",
        "LogarithmicScaleDown",
        "OrderedNamespaceDeletion",
        "PodLifecycleSleepAction",
        "PodLifecycleSleepActionAllowZero",
        "PreventStaticPodAPIReferences",
        "RelaxedDNSSearchValidation",
        "ResilientWatchCacheInitialization",
        "RetryGenerateName",
        "SchedulerQueueingHints",
        "SidecarContainers",
        "StreamingCollectionEncodingToJSON",
        "StreamingCollectionEncodingToProtobuf",
        "StructuredAuthenticationConfiguration",
        "WorkloadAwarePreemption",
    ),
}
# kubeadm's own gates: cmd/kubeadm/app/features/features.go of the same releases.
REMOVED_KUBEADM_GATES: dict[str, tuple[str, ...]] = {
    "1.35": ("WaitForAllControlPlaneComponents",),
    "1.36": ("ControlPlaneKubeletLocalMode",),
    "1.37": ("NodeLocalCRISocket", "PublicKeysECDSA"),
}
KUBEADM_GATES = frozenset({"RootlessControlPlane"}.union(*REMOVED_KUBEADM_GATES.values()))
