"""Which processes an `up` consists of, and what each of them is told."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from contract.ids import NodeName
from contract.subjects import Role
from wasmlet.errors import UsageError
from wasmlet.up.arguments import UpOptions
from wasmlet.up.child import ChildCommand
from wasmlet.up.folders import Folders

EXECUTOR_STOP_TIMEOUT_S = 40.0
"""An executor gives its containers their grace (30 s by default) before it ends."""


_ELECTING = (Role.NODE_REGISTRAR, Role.POD_RECONCILER)
_NAMING = (Role.NODE_REGISTRAR, Role.LOG_SERVER)


class Passwords(Protocol):
    """Where the password of a NATS user lies."""

    def __call__(self, role: Role, node: NodeName | None = None) -> Path:
        """Return the file."""
        ...


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What all services of one `up` share."""

    options: UpOptions
    folders: Folders
    nats_url: str
    passwords: Passwords
    kubeconfigs: Mapping[Role, Path]


def commands(around: Surroundings) -> list[ChildCommand]:
    """Return the processes in the order in which they start; they stop in reverse."""
    services = [
        _command(around, Role.NODE_REGISTRAR, _registrar(around)),
        _command(around, Role.LOG_SERVER, _log_server(around)),
        _command(around, Role.POD_RECONCILER, _reconciler(around)),
    ]
    services += [_executor(around, node) for node in around.options.nodes]
    known = {command.name for command in services} | {role.value for role in Role}
    for name, *_ in around.options.settings:
        if name not in known:
            raise UsageError(f"--set: there is no service {name!r}")
    return services


def _command(around: Surroundings, role: Role, own: Mapping[str, str]) -> ChildCommand:
    shared = _shared(around, role, None)
    kubeconfig = around.kubeconfigs.get(role)
    if kubeconfig is not None:
        shared["WASMLET_KUBECONFIG"] = str(kubeconfig)
    if around.options.nats_url is None:
        shared |= _alone_on_the_bus(around.options, role)
    chosen = dict(_chosen(around.options, role.value))
    return ChildCommand(
        name=role.value,
        module=role.value.replace("-", "_"),
        settings={**shared, **own, **chosen},
    )


def _alone_on_the_bus(options: UpOptions, role: Role) -> dict[str, str]:
    """Return what holds where nobody else is on the bus: no election, and the nodes are known.

    Another `up` of the same cluster must not stand back, and ports follow the nodes' order.
    """
    settings = {"WASMLET_ELECTION": "off"} if role in _ELECTING else {}
    if role in _NAMING:
        settings["WASMLET_NODE_NAMES"] = ",".join(options.nodes)
    return settings


def _executor(around: Surroundings, node: NodeName) -> ChildCommand:
    options, folders = around.options, around.folders
    single = len(options.nodes) == 1
    name = Role.WASM_EXECUTOR.value if single else f"{Role.WASM_EXECUTOR}.{node}"
    own = {
        "WASMLET_NODE_NAME": node,
        "WASMLET_DATA_DIR": str(folders.node_data(node)),
        "WASMLET_RUN_DIR": str(folders.node_run(node)),
        "WASMLET_LOG_ROOT": str(folders.node_logs(node)),
        "WASMLET_EXECUTORS_ON_MACHINE": str(len(options.nodes)),
        "WASMLET_INSECURE_REGISTRIES": ",".join(options.insecure_registries),
    }
    if options.manifests is not None:
        own["WASMLET_LOCAL_IMAGE_ROOT"] = str(options.manifests)
    if options.registry_ca_file is not None:
        own["WASMLET_REGISTRY_CA_FILE"] = str(options.registry_ca_file)
    chosen = dict(_chosen(options, Role.WASM_EXECUTOR.value)) | dict(_chosen(options, name))
    return ChildCommand(
        name=name,
        module="wasm_executor",
        settings={**_shared(around, Role.WASM_EXECUTOR, node), **own, **chosen},
        stop_timeout_s=EXECUTOR_STOP_TIMEOUT_S,
    )


def _shared(around: Surroundings, role: Role, node: NodeName | None) -> dict[str, str]:
    return {
        "WASMLET_NATS_URL": around.nats_url,
        "WASMLET_NATS_PASSWORD_FILE": str(around.passwords(role, node)),
        "WASMLET_LOG_LEVEL": around.options.log_level,
        "WASMLET_LOG_FORMAT": "console",
    }


def _registrar(around: Surroundings) -> dict[str, str]:
    options = around.options
    settings = {"WASMLET_NODE_LABELS": ",".join(options.node_labels)} if options.node_labels else {}
    if not options.taints:
        settings["WASMLET_TAINTS"] = ""
    return settings


def _reconciler(around: Surroundings) -> dict[str, str]:
    options = around.options
    settings = {} if options.manifests is None else {"WASMLET_MANIFESTS": str(options.manifests)}
    if options.is_static:
        settings["WASMLET_STATUS_FILE"] = str(around.folders.status_file)
    return settings


def _log_server(around: Surroundings) -> dict[str, str]:
    options = around.options
    # Without a cluster nothing knows the port: any free one will do.
    port = options.kubelet_port if options.kubeconfig else 0
    return {
        "WASMLET_KUBELET_PORT": str(port),
        "WASMLET_RUN_DIR": str(around.folders.run),
        "WASMLET_EXECUTOR_SOCKET": str(around.folders.run / "nodes" / "{node}" / "health.sock"),
    }


def _chosen(options: UpOptions, service: str) -> Iterator[tuple[str, str]]:
    return ((name, value) for each, name, value in options.settings if each == service)
