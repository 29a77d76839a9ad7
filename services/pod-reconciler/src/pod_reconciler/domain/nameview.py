"""Views of what a spec says about names."""

from pod_reconciler.domain.view import View


class HostAliasView(View, frozen=True, kw_only=True, rename="camel"):
    """`hostAliases[]`."""

    ip: str
    hostnames: tuple[str, ...] = ()


class DnsOption(View, frozen=True, kw_only=True, rename="camel"):
    """`dnsConfig.options[]`."""

    name: str = ""
    value: str | None = None


class PodDnsConfig(View, frozen=True, kw_only=True, rename="camel"):
    """`dnsConfig`."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[DnsOption, ...] = ()
