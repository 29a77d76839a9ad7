"""What a pod's containers read about names: their own, other hosts', and who resolves the rest.

The reconciler says what the spec and the cluster decide; what only the node knows (its own hosts
file and resolver) is put in by the executor.
"""

from enum import StrEnum

import msgspec


class HostAlias(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`hostAliases[]`: a line of its own in `/etc/hosts`."""

    ip: str
    hostnames: tuple[str, ...] = ()


class DnsBase(StrEnum):
    """What a pod's resolver settings begin with."""

    HOST = "host"
    """The node's own."""
    CLUSTER = "cluster"
    """The cluster's servers, searches and options; the node's searches come after."""
    NONE = "none"
    """Nothing."""


class DnsConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`dnsConfig`: what is added. An option is `name` or `name:value`."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


class Dns(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`/etc/resolv.conf`; `cluster` is what `DnsBase.CLUSTER` begins with."""

    base: DnsBase = DnsBase.HOST
    cluster: DnsConfig = DnsConfig()
    added: DnsConfig | None = None


class Naming(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`/etc/hostname`, `/etc/hosts` and `/etc/resolv.conf` of a pod."""

    hostname: str
    domain: str = ""
    """Behind the host name in `/etc/hosts`."""
    hostname_is_full: bool = False
    """`setHostnameAsFQDN`: the host's name is `{hostname}.{domain}`."""
    hosts_of_node: bool = False
    """`hostNetwork`: the hosts file begins with the node's."""
    aliases: tuple[HostAlias, ...] = ()
    dns: Dns = Dns()
