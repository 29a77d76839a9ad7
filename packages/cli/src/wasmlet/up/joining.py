"""Each service's own credential for a cluster, made with the user's kubeconfig.

The roles of `rbac.yaml` are applied, and each service gets a short-lived token of its own service
account, renewed while `up` runs. So no service holds more than its role, whoever runs the command.
A reconciler that is confined to namespaces gets the right to read their objects there alone.

A cluster has these roles once. Those of an installation by the chart stay as they are: in our
namespace its service accounts serve `up`, too; where it has another, `up` has none. Then, and where
the user may not create any, or not look, the services get the given kubeconfig.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from contract.subjects import Role
from kubekit.client import Api
from kubekit.errors import ApiError, ForbiddenError, NotFoundError
from wasmlet.errors import CommandLineError
from wasmlet.installation import NAMESPACE, RELEASE
from wasmlet.roles import apply, roles

TOKEN_LIFETIME_S: Final = 24 * 3600
"""What is asked for; a cluster may have a shorter limit of its own."""
RENEW_AT: Final = 0.6
"""The part of its life after which a token is renewed."""
LOOK_EVERY_S: Final = 60.0
JOINING: Final = (Role.NODE_REGISTRAR, Role.POD_RECONCILER, Role.LOG_SERVER)
_MARK: Final = f"/api/v1/namespaces/{NAMESPACE}/configmaps/{RELEASE}"
_BINDING: Final = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/wasmlet-node-registrar"


class NoTokensError(Exception):
    """No service gets a credential of its own; the message says why."""


def _since_boot() -> float:
    """Seconds that nobody sets and that go on while the machine sleeps: tokens age by them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class ServiceTokens:
    """The kubeconfig file of each service, and the tokens that these files name."""

    def __init__(
        self,
        api: Api,
        kubeconfig: Path,
        folder: Path,
        *,
        clock: Callable[[], float] = _since_boot,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._api = api
        self._kubeconfig = kubeconfig
        self._folder = folder
        self._clock = clock
        self._look_every_s = look_every_s
        self._renew_at = 0.0

    async def issue(self, namespaces: Sequence[str] = ()) -> Mapping[Role, Path]:
        """Apply the roles, where they are nobody else's, and return a kubeconfig per service.

        With namespaces, only the objects of pods there may be read.

        Raises `NoTokensError` where the user may not, or the roles serve another installation, and
        `CommandLineError` when the cluster cannot be reached.
        """
        try:
            installed = await self._is_installed()
        except ForbiddenError as error:
            problem = "this user may not see whether the cluster has an installation of its own"
            raise NoTokensError(problem) from error
        except ApiError as error:
            raise CommandLineError(f"cannot prepare the cluster: {error}") from error
        try:
            if not installed:
                for document in roles(namespaces=namespaces):
                    await apply(self._api, document)
            await self.renew()
        except ForbiddenError as error:
            raise NoTokensError("this user may not create service accounts") from error
        except ApiError as error:
            raise CommandLineError(f"cannot prepare the cluster: {error}") from error
        return {role: self._write_kubeconfig(role) for role in JOINING}

    async def _is_installed(self) -> bool:
        """Say whether the chart keeps the roles; raise `NoTokensError` if for another namespace."""
        if await self._found(_MARK) is not None:
            return True
        binding = await self._found(_BINDING) or {}
        for subject in binding.get("subjects") or ():
            if (other := subject.get("namespace")) is None:
                whom = f"{subject.get('kind')} {subject.get('name')}"
                raise NoTokensError(f"the roles of this cluster serve the {whom}")
            if other != NAMESPACE:
                raise NoTokensError(f"the roles of this cluster serve an installation in {other}")
        return False

    async def _found(self, path: str) -> Mapping[str, Any] | None:
        try:
            answer = await self._api.request("GET", path)
        except NotFoundError:
            return None
        found: Mapping[str, Any] = msgspec.json.decode(answer.body)
        return found

    async def keep_fresh(self) -> None:
        """Renew the tokens long before they end, for ever."""
        while True:
            await asyncio.sleep(self._look_every_s)
            if self._clock() >= self._renew_at:
                with suppress(ApiError):  # until the next look
                    await self.renew()

    async def renew(self) -> None:
        """Write a fresh token for each service."""
        began, lifetime_s = self._clock(), TOKEN_LIFETIME_S
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": TOKEN_LIFETIME_S},
        }
        for role in JOINING:
            path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{role}/token"
            answer = await self._api.request("POST", path, body=msgspec.json.encode(body))
            issued = msgspec.json.decode(answer.body)
            _write_private(self._folder / f"{role}.token", issued["status"]["token"])
            lifetime_s = min(lifetime_s, issued["spec"]["expirationSeconds"])
        self._renew_at = began + lifetime_s * RENEW_AT

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
