"""The variables that tell a container where Services are, as Docker's links once did."""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from pod_reconciler.domain.view import View

MASTER_NAMESPACE: Final = "default"
MASTER_SERVICE: Final = "kubernetes"
_NO_ADDRESS: Final = ("", "None")


class ServicePort(View, frozen=True, kw_only=True, rename="camel"):
    """`spec.ports[]`."""

    port: int
    name: str = ""
    protocol: str = ""


class ServiceSpec(View, frozen=True, kw_only=True, rename="camel"):
    """`spec`."""

    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    ports: tuple[ServicePort, ...] = ()


class ServiceMetadata(View, frozen=True, kw_only=True, rename="camel"):
    """`metadata`."""

    name: str
    namespace: str


class Service(View, frozen=True, kw_only=True, rename="camel"):
    """A Service, as far as variables tell of it."""

    metadata: ServiceMetadata
    spec: ServiceSpec = ServiceSpec()

    @property
    def is_master(self) -> bool:
        """Whether this is the API server's own, which every pod is told of."""
        metadata = self.metadata
        return (metadata.namespace, metadata.name) == (MASTER_NAMESPACE, MASTER_SERVICE)


_DECODER: Final = msgspec.json.Decoder(Service)


def read_service(raw: bytes | msgspec.Raw) -> Service:
    """Read a Service; raises `msgspec.DecodeError`."""
    return _DECODER.decode(raw)


def service_variables(
    services: Iterable[Service], namespace: str, *, has_links: bool
) -> dict[str, str]:
    """The variables of a pod in a namespace; `has_links` is its `enableServiceLinks`."""
    told: dict[str, Service] = {}
    for service in sorted(services, key=lambda each: each.metadata.name):
        name = service.metadata.name
        if service.spec.cluster_ip in _NO_ADDRESS or not service.spec.ports:
            continue
        if service.is_master:
            told.setdefault(name, service)
        elif has_links and service.metadata.namespace == namespace:
            told[name] = service
    return {variable: value for service in told.values() for variable, value in _variables(service)}


def _variables(service: Service) -> Iterator[tuple[str, str]]:
    name, spec = _variable_name(service.metadata.name), service.spec
    yield f"{name}_SERVICE_HOST", spec.cluster_ip
    yield f"{name}_SERVICE_PORT", str(spec.ports[0].port)
    for port in spec.ports:
        if port.name:
            yield f"{name}_SERVICE_PORT_{_variable_name(port.name)}", str(port.port)
    for index, port in enumerate(spec.ports):
        protocol = port.protocol or "TCP"
        url = f"{protocol.lower()}://{_host(spec.cluster_ip)}:{port.port}"
        if index == 0:
            yield f"{name}_PORT", url
        prefix = f"{name}_PORT_{port.port}_{protocol.upper()}"
        yield prefix, url
        yield f"{prefix}_PROTO", protocol.lower()
        yield f"{prefix}_PORT", str(port.port)
        yield f"{prefix}_ADDR", spec.cluster_ip


def _variable_name(name: str) -> str:
    return name.replace("-", "_").upper()


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
