"""A pod's `/etc/resolv.conf`: by its policy, of the cluster's settings and of this node's file.

As a kubelet forms it (its `dns.go`) and a container runtime writes it; what a resolver could not
take is left out, and said.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from contract.messages.naming import Dns, DnsBase, DnsConfig

MOST_NAMESERVERS: Final = 3
MOST_SEARCHES: Final = 32
MOST_SEARCH_CHARACTERS: Final = 2048
MOST_DOMAIN_CHARACTERS: Final = 253
_OMITTED: Final = (
    "{0} limits were exceeded, some {1} have been omitted, the applied {2} line is: {3}"
)


class Resolver(NamedTuple):
    """The content of a `resolv.conf`, and what a kubelet would warn of."""

    text: str
    warnings: tuple[str, ...]


def parsed(text: str) -> DnsConfig:
    """Read a node's file: name servers add up, the last search line counts, as do options."""
    nameservers: list[str] = []
    searches: tuple[str, ...] = ()
    options: dict[str, str] = {}
    for line in text.split("\n"):
        match line.split():
            case ["nameserver", address, *_]:
                nameservers.append(address)
            case ["search", *domains]:
                searches = tuple(each.removesuffix(".") for each in domains if each != ".")
            case ["options", *given]:
                options |= _by_name(given)
            case _:  # a comment, or nothing that a pod gets
                pass
    return DnsConfig(
        nameservers=tuple(nameservers), searches=searches, options=tuple(options.values())
    )


def resolver_of(dns: Dns, node: DnsConfig) -> Resolver:
    """Put a pod's file together."""
    config = _with_added(_base(dns, node), dns.added)
    warnings: list[str] = []
    nameservers = _fitting_nameservers(config.nameservers, warnings)
    searches = _fitting_searches(config.searches, warnings)
    lines = [f"search {' '.join(searches)}\n"] if searches else []
    lines += [f"nameserver {each}\n" for each in nameservers]
    lines += [f"options {' '.join(config.options)}\n"] if config.options else []
    return Resolver("".join(lines), tuple(warnings))


def _base(dns: Dns, node: DnsConfig) -> DnsConfig:
    match dns.base:
        case DnsBase.NONE:
            return DnsConfig()
        case DnsBase.HOST:
            return node
        case DnsBase.CLUSTER:
            cluster = dns.cluster
            both = _once((*cluster.searches, *node.searches))
            return DnsConfig(
                nameservers=cluster.nameservers,
                searches=both if cluster.searches else node.searches,
                options=cluster.options,
            )


def _with_added(base: DnsConfig, added: DnsConfig | None) -> DnsConfig:
    if added is None:
        return base
    return DnsConfig(
        nameservers=_once((*base.nameservers, *added.nameservers)),
        searches=_once((*base.searches, *added.searches)),
        options=tuple((_by_name(base.options) | _by_name(added.options)).values()),
    )


def _once(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _by_name(options: Iterable[str]) -> dict[str, str]:
    return {each.partition(":")[0]: each for each in options}


def _fitting_nameservers(nameservers: Sequence[str], warnings: list[str]) -> Sequence[str]:
    kept = nameservers[:MOST_NAMESERVERS]
    if len(kept) < len(nameservers):
        line = " ".join(kept)
        warnings.append(_OMITTED.format("Nameserver", "nameservers", "nameserver", line))
    return kept


def _fitting_searches(searches: Sequence[str], warnings: list[str]) -> Sequence[str]:
    kept = [each for each in searches[:MOST_SEARCHES] if len(each) <= MOST_DOMAIN_CHARACTERS]
    while len(" ".join(kept)) > MOST_SEARCH_CHARACTERS:
        kept.pop()
    if len(kept) < len(searches):
        line = " ".join(kept)
        warnings.append(_OMITTED.format("Search Line", "search paths", "search", line))
    return kept
