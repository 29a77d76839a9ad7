"""What a pod is called, which other hosts it knows, and who resolves names for it.

As a kubelet decides it, with one difference: where no cluster DNS is set, `ClusterFirst` means the
node's own resolver without a warning. All pods share their node's network here, and for such pods
that is what the policy means in Kubernetes too.
"""

from collections.abc import Iterator
from typing import Final

from contract.messages.naming import Dns, DnsBase, DnsConfig, HostAlias, Naming
from pod_reconciler.domain.nameview import DnsOption, PodDnsConfig
from pod_reconciler.domain.pod import Pod
from pod_reconciler.domain.surroundings import Surroundings
from pod_reconciler.errors import ContainerConfigError

_HOSTNAME_MAX: Final = 63
_FULL_NAME_MAX: Final = 64
_CLUSTER_OPTIONS: Final = ("ndots:5",)


def naming_of(pod: Pod, around: Surroundings) -> Naming:
    """Return the pod's part of `/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf`."""
    spec = pod.spec
    domain = _domain(pod, around)
    return Naming(
        hostname=_own_name(pod, around),
        domain=domain,
        hostname_is_full=bool(spec.set_hostname_as_fqdn and domain),
        hosts_of_node=spec.host_network,
        aliases=tuple(_aliases(pod)),
        dns=_dns(pod, around),
    )


def hostname_of(pod: Pod, around: Surroundings) -> str:
    """Return what a pod calls its host; raises `ContainerConfigError` for too long a name."""
    name, domain = _own_name(pod, around), _domain(pod, around)
    if not (pod.spec.set_hostname_as_fqdn and domain):
        return name
    full = f"{name}.{domain}"
    if len(full) > _FULL_NAME_MAX:
        raise ContainerConfigError(
            "failed to construct FQDN from pod hostname and cluster domain, FQDN "
            f"{full} is too long ({_FULL_NAME_MAX} characters is the max, "
            f"{len(full)} characters requested)"
        )
    return full


def _own_name(pod: Pod, around: Surroundings) -> str:
    """A pod of the host network has the node's name, as it has from a container runtime."""
    spec = pod.spec
    if spec.host_network:
        return around.node
    name = spec.hostname_override or spec.hostname or pod.metadata.name
    return name if len(name) <= _HOSTNAME_MAX else name[:_HOSTNAME_MAX].rstrip("-.")


def _domain(pod: Pod, around: Surroundings) -> str:
    spec = pod.spec
    if not spec.subdomain or spec.hostname_override or spec.host_network:
        return ""
    return f"{spec.subdomain}.{pod.metadata.namespace}.svc.{around.names.domain}"


def _aliases(pod: Pod) -> Iterator[HostAlias]:
    for alias in pod.spec.host_aliases:
        yield HostAlias(ip=alias.ip, hostnames=alias.hostnames)


def _dns(pod: Pod, around: Surroundings) -> Dns:
    base = _base(pod, around)
    config = pod.spec.dns_config
    return Dns(
        base=base,
        cluster=_of_cluster(pod, around) if base is DnsBase.CLUSTER else DnsConfig(),
        added=None if config is None else _added(config),
    )


def _base(pod: Pod, around: Surroundings) -> DnsBase:
    policy = pod.spec.dns_policy
    if policy == "None":
        return DnsBase.NONE
    wants_cluster = policy == "ClusterFirstWithHostNet" or (
        policy == "ClusterFirst" and not pod.spec.host_network
    )
    return DnsBase.CLUSTER if wants_cluster and around.names.servers else DnsBase.HOST


def _of_cluster(pod: Pod, around: Surroundings) -> DnsConfig:
    domain = around.names.domain
    searches = (f"{pod.metadata.namespace}.svc.{domain}", f"svc.{domain}", domain)
    return DnsConfig(
        nameservers=around.names.servers,
        searches=searches if domain else (),
        options=_CLUSTER_OPTIONS,
    )


def _option(option: DnsOption) -> str:
    return f"{option.name}:{option.value}" if option.value else option.name


def _added(config: PodDnsConfig) -> DnsConfig:
    return DnsConfig(
        nameservers=config.nameservers,
        searches=config.searches,
        options=tuple(_option(each) for each in config.options),
    )
