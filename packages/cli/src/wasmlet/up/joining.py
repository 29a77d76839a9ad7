"""Each service's own credential for a cluster, made with the user's kubeconfig.

The roles of `rbac.yaml` are applied, and each service gets a short-lived token of its own service
account, renewed while `up` runs. So no service holds more than its role, whoever runs the command.
Where the user may not do that, `up` says so and hands the given kubeconfig to the services.
A reconciler that is confined to namespaces gets the right to read their objects there alone.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from contract.subjects import Role
from kubekit.client import Api
from kubekit.errors import ApiError, ForbiddenError
from wasmlet.errors import CommandLineError
from wasmlet.installation import NAMESPACE
from wasmlet.roles import apply, roles

TOKEN_LIFETIME_S: Final = 24 * 3600
RENEW_AFTER_S: Final = TOKEN_LIFETIME_S * 0.6
RENEW_RETRY_S: Final = 60
JOINING: Final = (Role.NODE_REGISTRAR, Role.POD_RECONCILER, Role.LOG_SERVER)


class ServiceTokens:
    """The kubeconfig file of each service, and the tokens that these files name."""

    def __init__(self, api: Api, kubeconfig: Path, folder: Path) -> None:
        self._api = api
        self._kubeconfig = kubeconfig
        self._folder = folder

    async def issue(self, namespaces: Sequence[str] = ()) -> Mapping[Role, Path] | None:
        """Apply the roles and return a kubeconfig per service; None where the user may not.

        With namespaces, only the objects of pods there may be read.

        Raises `CommandLineError` when the cluster cannot be reached.
        """
        try:
            for document in roles(namespaces=namespaces):
                await apply(self._api, document)
            await self.renew()
        except ForbiddenError:
            return None
        except ApiError as error:
            raise CommandLineError(f"cannot prepare the cluster: {error}") from error
        return {role: self._write_kubeconfig(role) for role in JOINING}

    async def keep_fresh(self) -> None:
        """Renew the tokens long before they end, for ever."""
        pause: float = RENEW_AFTER_S
        while True:
            await asyncio.sleep(pause)
            try:
                await self.renew()
                pause = RENEW_AFTER_S
            except ApiError:
                pause = RENEW_RETRY_S

    async def renew(self) -> None:
        """Write a fresh token for each service."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": TOKEN_LIFETIME_S},
        }
        for role in JOINING:
            path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{role}/token"
            answer = await self._api.request("POST", path, body=msgspec.json.encode(body))
            token = msgspec.json.decode(answer.body)["status"]["token"]
            _write_private(self._folder / f"{role}.token", token)

    def _write_kubeconfig(self, role: Role) -> Path:
        document = yaml.safe_load(self._kubeconfig.read_text())
        context = _named(document, "contexts", document["current-context"])["context"]
        cluster = dict(_named(document, "clusters", context["cluster"])["cluster"])
        authority = cluster.get("certificate-authority")
        if authority:
            cluster["certificate-authority"] = str(self._kubeconfig.parent / authority)
        own = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": role.value,
            "clusters": [{"name": "cluster", "cluster": cluster}],
            "contexts": [
                {"name": role.value, "context": {"cluster": "cluster", "user": role.value}}
            ],
            "users": [
                {"name": role.value, "user": {"tokenFile": str(self._folder / f"{role}.token")}}
            ],
        }
        path = self._folder / f"{role}.kubeconfig"
        _write_private(path, yaml.safe_dump(own))
        return path


def _named(document: Mapping[str, Any], section: str, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(each for each in document[section] if each["name"] == name)
    return found


def _write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 in one step, so that nobody reads half of it."""
    partial = path.with_name(f"{path.name}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
    partial.rename(path)
