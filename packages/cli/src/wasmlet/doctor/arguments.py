"""Look an installation over: a line for each thing, and what to do where it is ill.

With --kubeconfig: the API server, its clock, the rights of the services, RuntimeClasses, Nodes, the
kubelet port and its certificate, what the services themselves say; --namespaces and --csr where no
pod of theirs tells how they are set up. With --bus: NATS. With --registry: whether this machine can
pull. Always: what this machine's kernel offers an executor.
Exit code 1 if something is broken; warnings alone are 0.
"""

import argparse
from pathlib import Path

import msgspec

from wasmlet.errors import UsageError
from wasmlet.installation import NAMESPACE


class DoctorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be looked at."""

    kubeconfig: Path | None = None
    namespace: str = NAMESPACE
    namespaces: tuple[str, ...] = ()
    csr: bool = False
    bus: str | None = None
    bus_ca: Path | None = None
    bus_user: str | None = None
    bus_password_file: Path | None = None
    registries: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()
    kernel: bool = True
    output: str = "text"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what is looked at."""
    parser.add_argument("--kubeconfig", metavar="FILE", type=Path, help="an administrator's")
    parser.add_argument("-n", "--namespace", default=NAMESPACE, help=f"the services' ({NAMESPACE})")
    parser.add_argument(
        "--namespaces", metavar="A,B", default="", help="that the reconciler is confined to"
    )
    parser.add_argument("--csr", action="store_true", help="the cluster signs certificates")
    parser.add_argument(
        "--bus", metavar="URL,...", help="nats:// or tls://, as the services are told"
    )
    parser.add_argument("--bus-ca", metavar="FILE", type=Path, help="the CA of that server")
    parser.add_argument("--bus-user", metavar="NAME", help="whom to log in as")
    parser.add_argument("--bus-password-file", metavar="FILE", type=Path, help="with what")
    parser.add_argument("--registry", metavar="HOST", action="append", default=[])
    parser.add_argument("--insecure-registry", metavar="HOST", action="append", default=[])
    parser.add_argument("--no-kernel", action="store_true", help="this machine is no node")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")


def run(chosen: argparse.Namespace) -> int:
    """Look, tell, and return the exit code."""
    from wasmlet.doctor.running import examine

    return examine(options_of(chosen))


def options_of(chosen: argparse.Namespace) -> DoctorOptions:
    """Return the options, or raise `UsageError`."""
    if (chosen.bus_user is None) != (chosen.bus_password_file is None):
        raise UsageError("--bus-user and --bus-password-file belong together")
    if chosen.bus is None and (chosen.bus_ca or chosen.bus_user):
        raise UsageError("--bus-ca and --bus-user need --bus")
    asked = (chosen.kubeconfig, chosen.bus, *chosen.registry, *chosen.insecure_registry)
    if chosen.no_kernel and not any(asked):
        raise UsageError("nothing to look at: give --kubeconfig, --bus or --registry")
    return DoctorOptions(
        kubeconfig=chosen.kubeconfig,
        namespace=chosen.namespace,
        namespaces=tuple(filter(None, map(str.strip, chosen.namespaces.split(",")))),
        csr=chosen.csr,
        bus=chosen.bus,
        bus_ca=chosen.bus_ca,
        bus_user=chosen.bus_user,
        bus_password_file=chosen.bus_password_file,
        registries=tuple(chosen.registry),
        insecure=tuple(chosen.insecure_registry),
        kernel=not chosen.no_kernel,
        output=chosen.output,
    )
