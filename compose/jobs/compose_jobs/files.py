"""Keys, passwords and kubeconfigs of one compose project, made once.

Each container mounts the folder that is its own, so a service holds its credential and no other.
A second run keeps all of them, for servers that run have read them; only the user's kubeconfig is
written each time, because the published port may have changed. `docker compose down --volumes`
forgets them.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Final

import msgspec

from compose_jobs.errors import JobError
from contract.ids import NodeName
from contract.permissions import Permissions, permissions, user_name
from contract.subjects import Role
from controlplane.certificates import Authority, KeyPair
from controlplane.kubeconfigs import Kubeconfigs, write_private
from controlplane.pki import API_SERVER_HOSTS, LOOPBACK, Pki, make_pki
from embedded_nats import server_config, write_passwords

RUNTIME_USER: Final = 65532
CONTROL_PLANE: Final = "control-plane"
NATS: Final = "nats"
EXECUTORS: Final = "executors"
CLUSTER_SERVICES: Final = (Role.NODE_REGISTRAR, Role.POD_RECONCILER, Role.LOG_SERVER)
NAMESPACE: Final = "wasmlet-system"
INSIDE: Final = "https://kube-apiserver:6443"
NATS_PORT: Final = 4222
NATS_MONITORING: Final = "127.0.0.1:8222"  # for its health check alone: it asks for no password
_COMPLETE: Final = "complete"
_GROUPS: Final = ("system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be made where; `owner` is a path whose owner may read the user's kubeconfig."""

    made: Path
    out: Path
    owner: Path
    executors: int
    api_port: int
    user: int = RUNTIME_USER

    def folder(self, name: str) -> Path:
        return self.made / name


def make_files(request: Request) -> None:
    """Makes what is missing; all of it belongs to the containers' user afterwards."""
    complete = request.folder(CONTROL_PLANE) / _COMPLETE
    if not complete.exists():
        _make_all(request)
        complete.touch()
    _count_unchanged(request)
    for folder in request.made.iterdir():
        _give(folder, request.user)
    _write_users_kubeconfig(request)


def node_names(count: int) -> list[NodeName]:
    """The Nodes of that many executors: compose counts the containers of a service from one."""
    return [NodeName(f"wasm-{index}") for index in range(1, count + 1)]


def _make_all(request: Request) -> None:
    for name in (CONTROL_PLANE, NATS, EXECUTORS, *CLUSTER_SERVICES):
        _empty(request.folder(name))
    pki = make_pki(
        request.folder(CONTROL_PLANE) / "pki",
        api_server_hosts=(*API_SERVER_HOSTS, "kube-apiserver"),
        etcd_hosts=(*LOOPBACK, "etcd"),
    )
    _write_kubeconfigs(request, pki)
    _write_bus(request)


def _write_kubeconfigs(request: Request, pki: Pki) -> None:
    kubeconfigs = Kubeconfigs(INSIDE, pki.authority.pair.certificate)
    own = request.folder(CONTROL_PLANE)
    (own / "etcd").mkdir()  # its data is mounted there, inside of what is read-only by then
    for name, pair in (
        ("admin", pki.admin),
        ("controller-manager", pki.controller_manager),
        ("scheduler", pki.scheduler),
    ):
        kubeconfigs.with_certificate(own / f"{name}.kubeconfig", name, pair)
    for role in CLUSTER_SERVICES:
        # A certificate in a service account's name: a token would end while nobody renews it.
        user = f"system:serviceaccount:{NAMESPACE}:{role}"
        pair = pki.authority.issue(f"service-{role}", name=user, groups=_GROUPS)
        kubeconfigs.with_certificate(request.folder(role) / "kubeconfig", role, pair)


def _write_bus(request: Request) -> None:
    nodes = node_names(request.executors)
    users = [permissions(role) for role in CLUSTER_SERVICES]
    users += [permissions(Role.WASM_EXECUTOR, node) for node in nodes]
    folder = request.folder(NATS)
    drafts = folder / "drafts"
    passwords = write_passwords(drafts, users)
    for role in CLUSTER_SERVICES:
        shutil.move(drafts / f"{role}.password", request.folder(role) / "bus.password")
    for node in nodes:
        draft = drafts / f"{user_name(Role.WASM_EXECUTOR, node)}.password"
        shutil.move(draft, request.folder(EXECUTORS) / f"{node}.password")
    drafts.rmdir()
    write_private(folder / "nats.json", _nats_config(users, passwords))
    authority = Authority(folder, "ca")
    authority.issue("nats", name="nats", hosts=("nats",))
    authority.pair.key.unlink()  # nobody else is to be a bus
    for name in (*CLUSTER_SERVICES, EXECUTORS):
        shutil.copy(authority.pair.certificate, request.folder(name) / "bus-ca.crt")


def _nats_config(users: list[Permissions], passwords: dict[str, str]) -> str:
    """The configuration of `wasmlet up`, with TLS, listening where other containers reach it."""
    config = json.loads(server_config(NATS_PORT, users, passwords, Path("/unused")))
    del config["ports_file_dir"]
    config["listen"] = f"0.0.0.0:{NATS_PORT}"
    config["http"] = NATS_MONITORING
    config["tls"] = {"cert_file": "/nats/nats.crt", "key_file": "/nats/nats.key"}
    return json.dumps(config, indent=2)


def _count_unchanged(request: Request) -> None:
    known = len(list(request.folder(EXECUTORS).glob("*.password")))
    if known != request.executors:
        raise JobError(
            f"the bus has users for {known} executors, not for {request.executors}: "
            "`docker compose down --volumes` forgets them with all else of this cluster"
        )


def _write_users_kubeconfig(request: Request) -> None:
    pki = request.folder(CONTROL_PLANE) / "pki"
    server = f"https://127.0.0.1:{request.api_port}"
    target = request.out / "compose" / "kubeconfig"
    target.parent.mkdir(exist_ok=True)
    Kubeconfigs(server, pki / "ca.crt").with_certificate(
        target, "wasmlet-compose", KeyPair(pki / "admin.crt", pki / "admin.key")
    )
    owner = request.owner.stat()
    for path in (request.out, target.parent):
        if path.stat().st_uid == 0:  # the engine or this job made it
            os.chown(path, owner.st_uid, owner.st_gid)
    os.chown(target, owner.st_uid, owner.st_gid)


def _empty(folder: Path) -> None:
    """A volume's own folder stays: it is a mount."""
    for each in folder.iterdir():
        shutil.rmtree(each) if each.is_dir() else each.unlink()


def _give(folder: Path, user: int) -> None:
    folder.chmod(0o700)
    for path in (folder, *folder.rglob("*")):
        os.lchown(path, user, user)
