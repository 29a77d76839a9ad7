"""Puts a control plane together: its ports, files and four components, none of them started."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from controlplane import commandlines
from controlplane.building import Programs
from controlplane.commandlines import Layout
from controlplane.kubeconfigs import Kubeconfigs
from controlplane.pki import make_pki
from controlplane.ports import free_ports
from controlplane.probing import answers_ok
from controlplane.processes import Component
from controlplane.tuning import Tuning


class Components(msgspec.Struct, frozen=True, kw_only=True):
    """In the order in which they start; etcd before the API server, the rest after it."""

    etcd: Component
    api_server: Component
    controller_manager: Component
    scheduler: Component

    def in_order(self) -> tuple[Component, ...]:
        return (self.etcd, self.api_server, self.controller_manager, self.scheduler)


def lay_out(data_dir: Path) -> Layout:
    """Chooses free ports, makes all certificates."""
    etcd, etcd_peer, api, controller_manager, scheduler = free_ports(5)
    return Layout(
        data_dir=data_dir,
        pki=make_pki(data_dir / "pki"),
        etcd_port=etcd,
        etcd_peer_port=etcd_peer,
        api_port=api,
        controller_manager_port=controller_manager,
        scheduler_port=scheduler,
    )


def write_kubeconfigs(at: Layout, kubeconfigs: Kubeconfigs) -> None:
    """The administrator's and those of the two components that are clients."""
    for name, pair in (
        ("admin", at.pki.admin),
        ("controller-manager", at.pki.controller_manager),
        ("scheduler", at.pki.scheduler),
    ):
        kubeconfigs.with_certificate(at.kubeconfig(name), name, pair)


def compose(at: Layout, programs: Programs, tuning: Tuning) -> Components:
    """The components, to be started."""

    def component(name: str, flags: list[str], is_ready: Callable[[], bool]) -> Component:
        command = [programs.path(name), *flags, *tuning.flags(name)]
        return Component(name, command, at.data_dir / f"{name}.log", is_ready)

    cluster = at.pki.authority.pair.certificate
    etcd_authority = at.pki.etcd_authority.certificate
    return Components(
        etcd=component(
            "etcd",
            commandlines.etcd(at),
            answers_ok(at.etcd_port, "/readyz", etcd_authority, at.pki.etcd_client),
        ),
        api_server=component(
            "kube-apiserver",
            commandlines.api_server(at),
            answers_ok(at.api_port, "/readyz", cluster, at.pki.admin),
        ),
        controller_manager=component(
            "kube-controller-manager",
            commandlines.controller_manager(at),
            answers_ok(at.controller_manager_port, "/healthz", cluster),
        ),
        scheduler=component(
            "kube-scheduler",
            commandlines.scheduler(at),
            answers_ok(at.scheduler_port, "/readyz", cluster),
        ),
    )
