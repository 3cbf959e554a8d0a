# Copyright: (c) 2026, kubewright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory of Kubespray: what its variables are in this collection's inputs.

Names and defaults: https://github.com/kubernetes-sigs/kubespray at 46dbdd3, inventory/sample/group_vars and
roles/kubespray_defaults/defaults/main; older names from its releases since 2.10.
"""

from __future__ import annotations

from . import kubespray_values as values
from .dialect import Dialect, Row, addon, as_list, is_true, not_taken, part_of, question, same, to, unused

API_SERVER = "kubeadm_cluster_config.apiServer"
_OIDC = "Set the oidc-* arguments in %s.extraArgs" % API_SERVER
_CLOUD = "a cloud provider is not set up here, and its credentials are not read"
_NO_CLOUD = "A cloud provider is not set up here, and its credentials are not read. Remove this."
_PATHS = "a path of Kubespray's own"
_DOWNLOADS = "programs come from kube_artifacts.source"
_KUBEADM = "set it in kubeadm_cluster_config, if you need it"
_KUBELET = "set it in kubelet_config, if you need it"
_COMPUTED = "Kubespray computes it from others"
_PARTS = "belongs to something that is not installed"

ROWS: dict[str, Row] = {
    # Versions, names, addresses
    "kube_version": same(),
    "kubeadm_ignore_preflight_errors": same(),
    "cluster_name": Row("kube_cluster_domain", values.cluster_name, "where dns_domain is not set"),
    "dns_domain": Row("kube_cluster_domain", values.dns_domain),
    "ip": Row("kube_node_ip", values.node_address, "an IP address of the host"),
    "access_ip": Row("kube_node_ip", values.access_address, "must equal ip", asks=True),
    "kube_override_hostname": to("kube_node_name"),
    "etcd_member_name": unused("etcd members have the names of the nodes"),
    # Networks
    "kube_pods_subnet": Row("kube_pod_cidrs", values.subnet("kube_pod_cidrs", "kube_pods_subnet_ipv6")),
    "kube_service_addresses": Row(
        "kube_service_cidrs", values.subnet("kube_service_cidrs", "kube_service_addresses_ipv6")
    ),
    "kube_pods_subnet_ipv6": part_of("kube_pods_subnet"),
    "kube_service_addresses_ipv6": part_of("kube_service_addresses"),
    "enable_dual_stack_networks": values.both_families("enable_dual_stack_networks"),
    "ipv4_stack": part_of("kube_pods_subnet"),
    "ipv6_stack": values.both_families("ipv6_stack"),
    "kube_network_node_prefix": question(
        "Each node gets a /24. Set node-cidr-mask-size in "
        "kubeadm_cluster_config.controllerManager.extraArgs, and remove this.",
        24,
    ),
    "kube_network_node_prefix_ipv6": unused("the size of a node's IPv6 network is kubeadm's default"),
    "kube_network_plugin": Row("kube_network.plugin", values.plugin, "kube-router, cni and custom_cni", asks=True),
    "kube_network_plugin_multus": addon("Multus"),
    "kube_proxy_mode": Row("kube_proxy_mode", values.proxy_mode, "ipvs becomes auto"),
    "kube_proxy_strict_arp": unused("only IPVS needs it"),
    "kube_proxy_nodeport_addresses": unused("kube-proxy's default"),
    "kube_proxy_metrics_bind_address": to("kubeadm_proxy_config.metricsBindAddress"),
    "kube_apiserver_port": to("kube_api_port"),
    "kube_apiserver_ip": unused("the first address of the Services' network, as always"),
    "skydns_server": unused("the tenth address of the Services' network, as always"),
    "skydns_server_secondary": unused("not used here"),
    # API endpoint
    "loadbalancer_apiserver": Row("kube_api_endpoint", values.balancer, "mode external", asks=True),
    "loadbalancer_apiserver_localhost": Row("kube_api_endpoint.mode", values.balancer_here, "mode local"),
    "loadbalancer_apiserver_type": unused("the proxy on the nodes is HAProxy"),
    "loadbalancer_apiserver_port": unused("see kube_api_endpoint.port"),
    "loadbalancer_apiserver_healthcheck_port": unused("the proxy needs no such port"),
    "apiserver_loadbalancer_domain_name": Row("kube_api_sans", values.balancer_name, "a name in the certificate"),
    "supplementary_addresses_in_ssl_keys": to("kube_api_sans", as_list),
    "kube_vip_enabled": Row("kube_api_endpoint", values.kube_vip, "mode vip, with keepalived", asks=True),
    "kube_vip_controlplane_enabled": part_of("kube_vip_enabled"),
    "kube_vip_bgp_enabled": part_of("kube_vip_enabled"),
    "kube_vip_address": part_of("kube_vip_enabled"),
    "kube_vip_interface": part_of("kube_vip_enabled"),
    "kube_vip_services_enabled": addon("kube-vip for Services"),
    # Datastore
    "etcd_deployment_type": unused("etcd runs as a static pod of each control plane"),
    "etcd_data_dir": not_taken("etcd's data are in /var/lib/etcd", "/var/lib/etcd"),
    "etcd_kubeadm_enabled": unused("etcd is kubeadm's"),
    "etcd_events_cluster_enabled": not_taken("there is one etcd for everything", False),
    # Programs, images, proxies
    "container_manager": not_taken("nodes use containerd", "containerd"),
    "containerd_registries_mirrors": Row("kube_registries.mirrors", values.mirrors),
    "containerd_registries": Row("kube_registries.mirrors", values.old_mirrors),
    "containerd_registry_auth": Row("kube_registries.configs", values.logins),
    "containerd_insecure_registries": not_taken("use kube_registries.configs[HOST].insecure_skip_verify"),
    "kube_image_repo": values.image_source("registry.k8s.io", "k8s.gcr.io"),
    "gcr_image_repo": values.image_source("gcr.io"),
    "docker_image_repo": values.image_source("docker.io"),
    "quay_image_repo": values.image_source("quay.io"),
    "github_image_repo": values.image_source("ghcr.io"),
    "files_repo": to("kube_artifacts.source", str, "with upstream's layout, see mirrors.md"),
    "registry_host": part_of("kube_image_repo"),
    "yum_repo": unused("package sources are the host's own"),
    "debian_repo": unused("package sources are the host's own"),
    "ubuntu_repo": unused("package sources are the host's own"),
    "http_proxy": to("kube_http_proxy.http", str),
    "https_proxy": to("kube_http_proxy.https", str),
    "no_proxy": Row("kube_http_proxy.no_proxy", values.without_proxy),
    "additional_no_proxy": Row("kube_http_proxy.no_proxy", values.without_proxy),
    "no_proxy_exclude_workers": unused("networks are excluded, not single nodes"),
    "https_proxy_cert_file": not_taken("put the proxy's CA into the hosts' trust store"),
    # Nodes
    "node_labels": to("kube_node_labels"),
    "node_taints": to("kube_node_taints", as_list),
    "kubelet_max_pods": to("kubelet_config.maxPods"),
    "kubelet_pod_pids_limit": to("kubelet_config.podPidsLimit"),
    "kube_read_only_port": to("kubelet_config.readOnlyPort"),
    "kubelet_config_extra_args": to("kubelet_config"),
    "kubelet_node_config_extra_args": to("kubelet_config"),
    "kubelet_shutdown_grace_period": to("kubelet_config.shutdownGracePeriod"),
    "kubelet_shutdown_grace_period_critical_pods": to("kubelet_config.shutdownGracePeriodCriticalPods"),
    "eviction_hard": to("kubelet_config.evictionHard"),
    "kube_resolv_conf": to("kubelet_config.resolvConf"),
    "kubelet_fail_swap_on": to("kube_swap", lambda value: "off" if is_true(value) else "keep"),
    "kube_reserved": Row("kube_reserved", values.reserved, "a map here; true or false there"),
    "system_reserved": part_of("system_memory_reserved"),
    "kube_memory_reserved": values.amount("kube_reserved", "kube_memory"),
    "kube_cpu_reserved": values.amount("kube_reserved", "kube_cpu"),
    "system_memory_reserved": values.amount("system_reserved", "system_memory"),
    "system_cpu_reserved": values.amount("system_reserved", "system_cpu"),
    "ntp_enabled": to("kube_time_service", lambda value: "chrony" if is_true(value) else "leave"),
    "ntp_*": unused("chrony is installed with the system's own settings"),
    "ping_access_ip": unused("the plan asks for the routes between the nodes"),
    "resolvconf_mode": unused("resolv.conf is the host's own"),
    "searchdomains": not_taken("resolv.conf is the host's own"),
    "upstream_dns_servers": not_taken("CoreDNS asks the servers in the nodes' resolv.conf"),
    # Control planes
    "kube_kubeadm_apiserver_extra_args": values.arguments("apiServer"),
    "kube_kubeadm_controller_extra_args": values.arguments("controllerManager"),
    "kube_kubeadm_scheduler_extra_args": values.arguments("scheduler"),
    "kube_encrypt_secret_data": question(
        "Secrets are not encrypted in kubeadm's etcd here. Use K3s with "
        "k3s_secrets_encryption, or set it up in %s.extraArgs, and remove this." % API_SERVER,
        False,
    ),
    "kubernetes_audit": question(
        "No audit log is set up. Set its arguments in %s, and remove this." % API_SERVER, False
    ),
    "kubernetes_audit_webhook": question(
        "No audit log is set up. Set its arguments in %s, and remove this." % API_SERVER,
        False,
    ),
    "kube_oidc_auth": question("The API server would not know OIDC. %s, and remove this." % _OIDC, False),
    "kube_webhook_token_auth": question("Set it up in %s, and remove this." % API_SERVER, False),
    "kube_webhook_authorization": question("Set it up in %s, and remove this." % API_SERVER, False),
    "kube_pod_security_use_default": question("Set up PodSecurity in %s, and remove this." % API_SERVER, False),
    "kube_apiserver_enable_admission_plugins": question(
        "Set enable-admission-plugins in %s.extraArgs, and remove this." % API_SERVER
    ),
    "kube_encryption_algorithm": part_of("kube_encrypt_secret_data"),
    "kube_encryption_resources": part_of("kube_encrypt_secret_data"),
    "kube_authorization_modes": not_taken(_KUBEADM, "['Node', 'RBAC']"),
    "kube_profiling": not_taken("set profiling in the extraArgs of kubeadm_cluster_config, if you need it", True),
    "kube_apiserver_insecure_port": unused("API servers have no such port any more"),
    "kube_proxy_remove": not_taken("kube-proxy is always installed", False),
    "kubelet_rotate_server_certificates": not_taken("set serverTLSBootstrap in kubelet_config, if you need it", False),
    "coredns_k8s_external_zone": part_of("enable_coredns_k8s_external"),
    "kube_asymmetric_encryption_algorithm": not_taken(_KUBEADM),
    "kube_encrypt_token": part_of("kube_encrypt_secret_data"),
    "kube_api_aggregator_routing": not_taken(_KUBEADM, False),
    "kube_api_runtime_config": not_taken(_KUBEADM),
    "kube_feature_gates": not_taken("set the gates in kubeadm_cluster_config and kubelet_config, if you need them"),
    "kube_ca_cert_validity_period": not_taken("set caCertificateValidityPeriod in kubeadm_cluster_config"),
    "kube_cert_validity_period": not_taken("set certificateValidityPeriod in kubeadm_cluster_config"),
    "kube_resource_quota_limited_resources": not_taken(_KUBEADM),
    "kube_token_auth": unused("Kubernetes has no static tokens by default"),
    "kube_external_ca_mode": question("The CA is made by kubeadm. Remove this.", False),
    "cloud_provider": question(_NO_CLOUD),
    "external_cloud_provider": question(_NO_CLOUD),
    # Names of its releases before 2.10.
    "bootstrap_os": unused("the system is found out"),
    "dns_server": unused("the address of DNS is the tenth of the Services' network"),
    "enable_network_policy": not_taken("the plugin decides: kube-router and K3s's flannel have NetworkPolicy", False),
    "kube_api_pwd": unused("Kubernetes has no passwords any more"),
    "kube_basic_auth": unused("Kubernetes has no passwords any more"),
    "kube_users": unused("Kubernetes has no passwords any more"),
    "kube_api_anonymous_auth": not_taken("kubeadm's probes and joins need anonymous requests", True),
    "kubeadm_certificate_key": unused("the key is made on a control plane, for each run"),
    "auto_renew_certificates": addon("a timer for certificates", "verify, which warns before they expire"),
    "auto_renew_certificates_*": unused(_PARTS),
    # On the controller
    "kubeconfig_localhost": Row("kube_kubeconfig.fetch", values.fetch),
    "kubeconfig_localhost_ansible_host": unused("the kubeconfig has the address of the API endpoint"),
    "kubectl_localhost": addon("kubectl on the controller", "upstream"),
    # Add-ons
    "helm_enabled": addon("Helm", "https://helm.sh"),
    "krew_enabled": addon("Krew"),
    "metrics_server_enabled": addon("metrics-server"),
    "ingress_nginx_enabled": addon("ingress-nginx, which upstream retired in March 2026"),
    "ingress_alb_enabled": addon("the ALB ingress controller"),
    "metallb_enabled": addon("MetalLB"),
    "cert_manager_enabled": addon("cert-manager"),
    "argocd_enabled": addon("Argo CD"),
    "registry_enabled": addon("the registry"),
    "local_path_provisioner_enabled": addon("local-path-provisioner"),
    "local_volume_provisioner_enabled": addon("local-volume-provisioner"),
    "csi_snapshot_controller_enabled": addon("the snapshot controller"),
    "gateway_api_enabled": addon("the Gateway API's definitions"),
    "node_feature_discovery_enabled": addon("Node Feature Discovery"),
    "dashboard_enabled": addon("the dashboard"),
    "enable_nodelocaldns": addon("NodeLocal DNS"),
    "deploy_netchecker": addon("netchecker"),
    "nvidia_accelerator_enabled": addon("NVIDIA's drivers"),
    "persistent_volumes_enabled": addon("a storage class"),
    "*_csi_enabled": addon("the CSI driver"),
    "gvisor_enabled": addon("gVisor"),
    "kata_containers_enabled": addon("Kata Containers"),
    "crun_enabled": addon("crun"),
    "youki_enabled": addon("youki"),
    # Whatever their value
    "bin_dir": unused("programs are in /usr/local/bin"),
    "kube_config_dir": unused(_PATHS),
    "kube_script_dir": unused(_PATHS),
    "kube_manifest_dir": unused(_PATHS),
    "kube_cert_dir": unused(_PATHS),
    "kube_token_dir": unused(_PATHS),
    "credentials_dir": unused(_PATHS),
    "local_release_dir": unused(_PATHS),
    "kube_owner": unused("files belong to root"),
    "kube_cert_group": unused("files belong to root"),
    "kube_log_level": unused("the programs' default"),
    "kube_cert_compat_dir": unused(_PATHS),
    "kube_etcd_cacert_file": unused(_PATHS),
    "kube_etcd_cert_file": unused(_PATHS),
    "kube_etcd_key_file": unused(_PATHS),
    "kube_dns_servers": unused(_COMPUTED),
    "kube_major_version": unused(_COMPUTED),
    "kube_major_next_version": unused(_COMPUTED),
    "kube_next": unused(_COMPUTED),
    "kube_node_addresses": unused(_COMPUTED),
    "kube_pods_subnets": unused(_COMPUTED),
    "kube_service_subnets": unused(_COMPUTED),
    "kube_version_min_required": unused(_COMPUTED),
    "kube_service_cgroups": unused("kubelet's default"),
    "allow_unsupported_distribution_setup": unused("the plan judges each machine"),
    "enable_nat_default_gateway": unused("belongs to a network plugin that is not installed"),
    "retry_stagger": unused(_DOWNLOADS),
    "dns_mode": not_taken("CoreDNS is kubeadm's", "coredns"),
    "ndots": unused("Kubernetes' default"),
    "unsafe_show_logs": unused("secrets are never shown"),
    "event_ttl_duration": unused("the API server's default"),
    "k8s_image_pull_policy": unused("each image has its own"),
    "volume_cross_zone_attachment": unused(_CLOUD),
    "remove_anonymous_access": unused("kubeadm's default"),
    "default_kubelet_config_dir": unused(_PATHS),
    "kubeadm_patches": not_taken(
        "write the fields into kubeadm_cluster_config or kubelet_config", "{'enabled': False}"
    ),
    "kubeadm_patches_dir": unused(_PATHS),
    "download_*": unused(_DOWNLOADS),
    "*_download_url": unused(_DOWNLOADS),
    "*_checksums": unused("programs are checked against upstream's digests"),
    "*_binary_checksum": unused("programs are checked against upstream's digests"),
    "*_image_tag": unused("images belong to the Kubernetes version"),
    "*_image_repo": unused(_PARTS),
    # Families
    "kube_apiserver_*": not_taken(_KUBEADM),
    "kube_controller_*": not_taken(_KUBEADM),
    "kube_scheduler_*": not_taken(_KUBEADM),
    "kube_oidc_*": unused("read by nothing unless kube_oidc_auth is settled"),
    "kube_webhook_*": unused("see kube_webhook_token_auth and kube_webhook_authorization"),
    "kube_pod_security_*": unused("see kube_pod_security_use_default"),
    "kube_proxy_*": not_taken("set it in kubeadm_proxy_config, if you need it"),
    "kube_vip_*": unused("see kube_vip_enabled"),
    "kube_ovn_*": unused("belongs to a network plugin that is not installed"),
    "kube_router_*": not_taken("set it in kube_network.options, if you need it"),
    "kube_reserved_cgroups*": unused("kubelet's default"),
    "kube_*reserved": not_taken("only CPU and memory are in kube_reserved"),
    "kubelet_*": not_taken(_KUBELET),
    "kubeadm_*": not_taken("kubeadm runs with the plan's own configuration"),
    "system_*reserved": not_taken("only CPU and memory are in kube_reserved"),
    "calico_*": unused("belongs to a network plugin that is not installed"),
    "cilium_*": unused("belongs to a network plugin that is not installed"),
    "flannel_*": unused("belongs to a network plugin that is not installed"),
    "weave_*": unused("belongs to a network plugin that is not installed"),
    "typha_*": unused("belongs to a network plugin that is not installed"),
    "custom_cni_*": not_taken("apply the plugin with kube_manifests or Helm"),
    "macvlan_*": unused("belongs to a network plugin that is not installed"),
    "metallb_*": unused(_PARTS),
    "ingress_nginx_*": unused(_PARTS),
    "cert_manager_*": unused(_PARTS),
    "argocd_*": unused(_PARTS),
    "metrics_server_*": unused(_PARTS),
    "local_path_provisioner_*": unused(_PARTS),
    "local_volume_provisioner_*": unused(_PARTS),
    "registry_*": unused(_PARTS),
    "dashboard_*": unused(_PARTS),
    "nodelocaldns_*": unused(_PARTS),
    "enable_nodelocaldns_*": unused(_PARTS),
    "coredns_*": not_taken("CoreDNS is kubeadm's; change its ConfigMap"),
    "enable_coredns_*": not_taken("CoreDNS is kubeadm's; change its ConfigMap", False),
    "etcd_*": not_taken("set it in kubeadm_cluster_config.etcd, if you need it"),
    "containerd_*": not_taken("containerd's configuration is the plan's"),
    "docker_*": unused("nodes use containerd"),
    "crio_*": unused("nodes use containerd"),
    "external_openstack_*": unused(_CLOUD),
    "openstack_*": unused(_CLOUD),
    "cinder_*": unused(_CLOUD),
    "external_vsphere_*": unused(_CLOUD),
    "vsphere_*": unused(_CLOUD),
    "azure_*": unused(_CLOUD),
    "aws_ebs_*": unused(_CLOUD),
}
# Names that only Kubespray's inventories have, beside those that begin with kube. Others are anybody's, such as ip.
_MARKS = """
    access_ip apiserver_loadbalancer_domain_name auto_renew_certificates container_manager containerd_registries
    containerd_registries_mirrors containerd_registry_auth deploy_netchecker enable_dual_stack_networks
    enable_nodelocaldns etcd_deployment_type etcd_kubeadm_enabled etcd_member_name loadbalancer_apiserver
    loadbalancer_apiserver_localhost loadbalancer_apiserver_port loadbalancer_apiserver_type
    loadbalancer_apiserver_healthcheck_port no_proxy_exclude_workers resolvconf_mode
    supplementary_addresses_in_ssl_keys
""".split()
_SHARED = ("kube_version", "kube_proxy_mode", "kube_reserved", "kubeadm_ignore_preflight_errors")
DIALECT = Dialect(
    name="Kubespray",
    page="https://github.com/kubernetes-sigs/kubespray/tree/master/docs",
    rows=ROWS,
    groups=frozenset({"k8s_cluster", "k8s-cluster", "calico_rr", "calico-rr", "kube-master", "kube-node"}),
    generic=frozenset(name for name in ROWS if name in _SHARED or not (name.startswith("kube") or name in _MARKS)),
    defaults={"cluster_name": "cluster.local", "kube_config_dir": "/etc/kubernetes", "bin_dir": "/usr/local/bin"},
)
