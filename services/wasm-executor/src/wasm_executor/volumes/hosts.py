"""A pod's `/etc/hosts`, line by line as a kubelet writes it."""

from collections.abc import Iterator
from typing import Final

from contract.messages.naming import HostAlias, Naming

_HEADER: Final = """\
# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""
_HEADER_OF_NODE: Final = "# Kubernetes-managed hosts file (host network).\n"


def hosts_of(naming: Naming, pod_ip: str, node_hosts: str) -> str:
    """Return the file of a pod; `node_hosts` is this machine's, for pods that have its name."""
    aliases = "".join(_aliases(naming.aliases))
    if naming.hosts_of_node:
        return f"{_HEADER_OF_NODE}{node_hosts}{aliases}"
    names = naming.hostname
    if naming.domain:
        names = f"{naming.hostname}.{naming.domain}\t{naming.hostname}"
    own = f"{pod_ip}\t{names}\n" if pod_ip else ""
    return f"{_HEADER}{own}{aliases}"


def _aliases(aliases: tuple[HostAlias, ...]) -> Iterator[str]:
    if aliases:
        yield "\n# Entries added by HostAliases.\n"
    for alias in aliases:
        names = "\t".join(alias.hostnames)
        yield f"{alias.ip}\t{names}\n"
