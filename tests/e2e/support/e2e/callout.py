"""A bus whose registrars say who is let in, and strangers who try what they hold."""

import os
from pathlib import Path
from typing import Final

import nats.errors
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.aio.client import Client
from registrar_process import Registrar

from contract.ids import NodeName
from contract.nkeys import PREFIX_ACCOUNT, public_text, seed_text
from contract.permissions import inbox_prefix
from controlplane import ControlPlane
from e2e.api import Api
from embedded_nats import EmbeddedNats

NAMESPACE: Final = "wasmlet-system"
ACCOUNT: Final = "log-server"
PODS: Final = f"/api/v1/namespaces/{NAMESPACE}/pods"
ANSWERED_WITHIN_S: Final = 15


def new_issuer(file: Path) -> str:
    """Leaves a seed in the file; its public key."""
    seed = os.urandom(32)
    file.write_text(seed_text(PREFIX_ACCOUNT, seed))
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return public_text(PREFIX_ACCOUNT, key.public_bytes_raw())


class Gatehouse:
    """A NATS server that asks, and the registrars that it asks."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.plane = plane
        self.folder = folder
        self.enrolments = folder / "enrolments"
        self.enrolments.mkdir(parents=True)
        self.seed = folder / "issuer"
        self.nats = EmbeddedNats(folder / "nats", [], issuer=new_issuer(self.seed))

    def registrar(self, **settings: str) -> Registrar:
        kubeconfig = self.plane.service_account_kubeconfig(NAMESPACE, "node-registrar")
        own = {
            "kubeconfig": str(kubeconfig),
            "bus_issuer_file": str(self.seed),
            "bus_service_account": f"{NAMESPACE}:{ACCOUNT}",
            "enrolment_dir": str(self.enrolments),
            "host_prefix": "wasm-",
        }
        return Registrar(self.nats, self.folder, **(own | settings))

    async def let_in(self, user: str, credential: str, denied: list[str] | None = None) -> Client:
        """One connection; raises `nats.errors.Error` where it is refused."""

        async def note(error: Exception) -> None:
            if denied is not None:
                denied.append(str(error))

        client = Client()
        try:
            await client.connect(
                self.nats.url,
                user=user,
                password=credential,
                inbox_prefix=inbox_prefix(user),
                allow_reconnect=False,
                connect_timeout=ANSWERED_WITHIN_S,
                error_cb=note,
            )
        except BaseException:
            await client.close()
            raise
        return client

    async def lets_in(self, user: str, credential: str) -> bool:
        try:
            client = await self.let_in(user, credential)
        except nats.errors.Error:
            return False
        await client.close()
        return True

    async def is_refused(self, registrar: Registrar, user: str, credential: str) -> bool:
        """Whether nobody is let in, and that by this registrar's word, not for want of one."""
        before = len(registrar.records("bus_user.refused"))
        return (
            not await self.lets_in(user, credential)
            and len(registrar.records("bus_user.refused")) > before
        )


def machine_pod(api: Api, machine: str) -> str:
    """A pod that is bound to this machine, whose tokens say so; its name."""
    name = f"wasm-node-{machine}"
    spec = {
        "nodeName": machine,
        "serviceAccountName": ACCOUNT,
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "c", "image": "none"}],
    }
    api.create(PODS, {"metadata": {"name": name}, "spec": spec})
    return name


def pod_token(plane: ControlPlane, pod: str, audience: str = "wasmlet") -> str:
    """A token as a projected volume of this pod would hold it."""
    bound = ("--bound-object-kind=Pod", f"--bound-object-name={pod}")
    command = ("create", "token", ACCOUNT, f"--namespace={NAMESPACE}", f"--audience={audience}")
    return plane.kubectl(*command, *bound).stdout.strip()


def node_of(machine: str) -> NodeName:
    return NodeName(f"wasm-{machine}")
