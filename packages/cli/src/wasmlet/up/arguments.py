"""Run wasm pods on this machine, as a node of a cluster or from a folder of manifests."""

import argparse
import re
import socket
from pathlib import Path
from typing import Any, Final

import msgspec

from contract.errors import InvalidTokenError
from contract.ids import NodeName, node_token
from wasmlet.errors import UsageError

KUBELET_PORT = 10250
_NAMESPACES: Final = ("pod-reconciler", "WASMLET_NAMESPACES")
_LABEL = re.compile(
    r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?=([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
)
_HOST_PORT = re.compile(r"[^\s/@]+")


def _many(metavar: str) -> dict[str, Any]:
    return {"action": "append", "default": [], "metavar": metavar}


def _path(metavar: str) -> dict[str, Any]:
    return {"type": Path, "metavar": metavar}


_FLAG: Final[dict[str, Any]] = {"action": "store_true"}
_LEVELS: Final = ("debug", "info", "warning", "error")
_OPTIONS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "--kubeconfig": ("join this cluster", _path("FILE")),
    "--nodes": ("how many nodes (1)", {"type": int, "default": 1, "metavar": "N"}),
    "--node-name": (
        "wasmlet-<host name>; with several nodes NAME-1, NAME-2, ...",
        {"metavar": "NAME"},
    ),
    "--manifests": ("run the pods of this folder, with or without a cluster", _path("DIR")),
    "--until-complete": (
        "without a cluster: end when the pods of --manifests have: 0 if all succeeded, else 1",
        _FLAG,
    ),
    "--data-dir": (
        "modules, logs, restart counts (~/.local/state/wasmlet; without a cluster: temporary)",
        _path("DIR"),
    ),
    "--kubelet-port": (
        "of the first node, the others follow; 0 takes free ones (10250)",
        {"type": int, "default": KUBELET_PORT, "metavar": "PORT"},
    ),
    "--node-label": ("one more label of the nodes", _many("K=V")),
    "--no-taints": ("register the nodes without taints", _FLAG),
    "--insecure-registry": ("a registry that is spoken to in plain HTTP", _many("HOST:PORT")),
    "--registry-ca": ("CA of a registry with a private certificate", _path("FILE")),
    "--nats": ("use this NATS instead of an embedded one", {"metavar": "URL"}),
    "--nats-passwords": ("with --nats: a file USER.password per service", _path("DIR")),
    "--log-level": ("of the services (warning)", {"default": "warning", "choices": _LEVELS}),
    "--set": (
        "a setting of one service, by its variable's name without WASMLET_",
        _many("SERVICE:NAME=VALUE"),
    ),
}


class UpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, checked."""

    nodes: tuple[NodeName, ...]
    kubeconfig: Path | None = None
    manifests: Path | None = None
    until_complete: bool = False
    data_dir: Path | None = None
    kubelet_port: int = KUBELET_PORT
    node_labels: tuple[str, ...] = ()
    taints: bool = True
    insecure_registries: tuple[str, ...] = ()
    registry_ca_file: Path | None = None
    nats_url: str | None = None
    nats_passwords: Path | None = None
    log_level: str = "warning"
    settings: tuple[tuple[str, str, str], ...] = ()
    """(service, variable, value), from `--set`."""

    @property
    def is_static(self) -> bool:
        """Whether there is no cluster, only a folder."""
        return self.kubeconfig is None

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Those that the reconciler is confined to; none where it is not."""
        told = [value for *which, value in self.settings if tuple(which) == _NAMESPACES]
        return tuple(each.strip() for each in told[-1].split(",") if each.strip()) if told else ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `wasmlet up`."""
    for name, (text, form) in _OPTIONS.items():
        parser.add_argument(name, help=text, **form)


def run(chosen: argparse.Namespace) -> int:
    """Run `wasmlet up` and return its exit code."""
    from wasmlet.up.running import run_up

    return run_up(options_of(chosen))


def options_of(chosen: argparse.Namespace) -> UpOptions:
    """Return the options, or raise `UsageError` with what is wrong."""
    _check_mode(chosen)
    return UpOptions(
        nodes=_node_names(chosen.node_name, chosen.nodes),
        kubeconfig=_file(chosen.kubeconfig, "--kubeconfig"),
        manifests=_folder(chosen.manifests),
        until_complete=chosen.until_complete,
        data_dir=chosen.data_dir.absolute() if chosen.data_dir else None,
        kubelet_port=_port(chosen.kubelet_port, chosen.nodes),
        node_labels=tuple(
            _matching(each, _LABEL, "--node-label K=V") for each in chosen.node_label
        ),
        taints=not chosen.no_taints,
        insecure_registries=tuple(
            _matching(each, _HOST_PORT, "--insecure-registry HOST:PORT")
            for each in chosen.insecure_registry
        ),
        registry_ca_file=_file(chosen.registry_ca, "--registry-ca"),
        nats_url=chosen.nats,
        nats_passwords=chosen.nats_passwords,
        log_level=chosen.log_level,
        settings=tuple(_setting(each) for each in chosen.set),
    )


def _check_mode(chosen: argparse.Namespace) -> None:
    if chosen.kubeconfig is None and chosen.manifests is None:
        raise UsageError("give --kubeconfig FILE (join a cluster), --manifests DIR, or both")
    if chosen.until_complete and (chosen.manifests is None or chosen.kubeconfig is not None):
        raise UsageError("--until-complete goes with --manifests and without --kubeconfig")
    if chosen.nodes < 1:
        raise UsageError("--nodes must be 1 or more")
    if chosen.kubeconfig is None and chosen.nodes != 1:
        raise UsageError("without a cluster there is one node")
    if (chosen.nats is None) != (chosen.nats_passwords is None):
        raise UsageError("--nats URL and --nats-passwords DIR go together")
    if chosen.nats_passwords is not None and not chosen.nats_passwords.is_dir():
        raise UsageError(f"--nats-passwords: there is no folder {chosen.nats_passwords}")


def _node_names(name: str | None, count: int) -> tuple[NodeName, ...]:
    stem = name or f"wasmlet-{socket.gethostname().split('.')[0].lower()}"
    names = [stem] if count == 1 else [f"{stem}-{number}" for number in range(1, count + 1)]
    try:
        for each in names:
            node_token(NodeName(each))
    except InvalidTokenError as error:
        raise UsageError(f"--node-name: {error}") from error
    return tuple(NodeName(each) for each in names)


def _file(path: Path | None, option: str) -> Path | None:
    if path is not None and not path.is_file():
        raise UsageError(f"{option}: there is no file {path}")
    return path.absolute() if path else None


def _folder(path: Path | None) -> Path | None:
    if path is not None and not path.is_dir():
        raise UsageError(f"--manifests: there is no folder {path}")
    return path.absolute() if path else None


def _port(port: int, nodes: int) -> int:
    for each in (port, port + nodes - 1 if port else 0):
        if not 0 <= each <= 65535:  # noqa: PLR2004 - the range of ports
            raise UsageError(f"--kubelet-port: {each} is no port")
    return port


def _matching(value: str, form: re.Pattern[str], option: str) -> str:
    if not form.fullmatch(value):
        raise UsageError(f"{option}: {value!r} is not of that form")
    return value


def _setting(text: str) -> tuple[str, str, str]:
    service, colon, rest = text.partition(":")
    name, equals, value = rest.partition("=")
    if not colon or not equals:
        raise UsageError(f"--set SERVICE:NAME=VALUE: got {text!r}")
    return service, f"WASMLET_{name.upper().removeprefix('WASMLET_')}", value
