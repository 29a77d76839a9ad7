"""What the log-server asks the API server: who a token is, what a user may, whose CA counts.

Raw requests and small views. A failure is a `ReviewError` and never a verdict. Whether the API
server has answered lately is kept here, for readiness.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from contract.ids import NodeName
from kubekit import signingrequests
from kubekit.client import Api, api_client
from kubekit.errors import ApiError, KubeconfigError, KubekitError
from kubekit.signingrequests import Wanted
from log_server.domain.identity import User
from log_server.errors import LogServerError, ReviewError, UnansweredError, UnsignedError
from log_server.settings import IN_CLUSTER, LogServerSettings

log = structlog.get_logger()

TOKEN_REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105 - a path
ACCESS_REVIEWS: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
CLIENT_CA: Final = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
RETRY_PAUSE_S: Final = 0.2


class _UserInfo(msgspec.Struct, frozen=True):
    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] | None = None
    extra: dict[str, tuple[str, ...]] | None = None


class _TokenStatus(msgspec.Struct, frozen=True):
    authenticated: bool = False
    user: _UserInfo = _UserInfo()


class _TokenReview(msgspec.Struct, frozen=True):
    status: _TokenStatus


class _AccessStatus(msgspec.Struct, frozen=True):
    allowed: bool = False
    denied: bool = False


class _AccessReview(msgspec.Struct, frozen=True):
    status: _AccessStatus


class _ConfigMap(msgspec.Struct, frozen=True):
    data: dict[str, str] = {}


class ApiServer:
    """The API server as this service needs it."""

    def __init__(self, api: Api, settings: LogServerSettings) -> None:
        self._api = api
        self._timeout_s = settings.review_timeout_s
        self.problem: str | None = "the API server has not been asked yet"

    async def user_of_token(self, token: str) -> User | None:
        """Return whose token this is, None when it is nobody's; raises `ReviewError`."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token},
        }
        status = (await self._review(TOKEN_REVIEWS, body, _TokenReview)).status
        if not status.authenticated:
            return None
        extra = status.user.extra or {}
        return User(
            name=status.user.username,
            uid=status.user.uid,
            groups=status.user.groups or (),
            extra=tuple(sorted(extra.items())),
        )

    async def may(self, user: User, verb: str, subresource: str, node: NodeName) -> bool:
        """Say whether a user may do this to the Node; raises `ReviewError`."""
        attributes = {
            "verb": verb,
            "version": "v1",
            "resource": "nodes",
            "subresource": subresource,
            "name": node,
        }
        spec = {
            "user": user.name,
            "uid": user.uid,
            "groups": user.groups,
            "extra": dict(user.extra),
            "resourceAttributes": attributes,
        }
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": spec,
        }
        status = (await self._review(ACCESS_REVIEWS, body, _AccessReview)).status
        return status.allowed and not status.denied

    async def client_ca(self) -> str | None:
        """Return the PEM bundle that signs the cluster's client certificates, None without one.

        Raises `ReviewError`.
        """
        answer = await self._send("GET", CLIENT_CA, None)
        return _decoded(answer, _ConfigMap).data.get("client-ca-file")

    async def ask_signature(self, wanted: Wanted) -> str:
        """Ask for a certificate and return the request's name; raises `ReviewError`.

        Where the same may be answered soon, that is an `UnansweredError`.
        """
        try:
            return await signingrequests.asked(self._api, wanted)
        except ApiError as error:
            refused = UnansweredError if error.retryable else ReviewError
            raise refused(str(error)) from error
        except KubekitError as error:
            raise ReviewError(str(error)) from error

    async def signature(self, request: str, within_s: float) -> bytes:
        """Return what was signed as PEM; raises `UnsignedError`, or `ReviewError` for good."""
        try:
            return await signingrequests.awaited(self._api, request, within_s)
        except signingrequests.UnsignedError as error:
            raise UnsignedError(str(error)) from error
        except KubekitError as error:
            raise ReviewError(str(error)) from error

    async def check(self) -> None:
        """Ask for a sign of life; raises `ReviewError`."""
        await self._send("GET", "/version", None)

    async def _review[T](self, path: str, body: dict[str, Any], kind: type[T]) -> T:
        return _decoded(await self._send("POST", path, msgspec.json.encode(body)), kind)

    async def _send(self, method: str, path: str, body: bytes | None) -> bytes:
        """Send until there is an answer; a review changes nothing, so it may be sent again."""
        reason: ApiError | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                while True:
                    try:
                        answer = await self._api.request(method, path, body=body)
                    except ApiError as error:
                        reason = error
                    else:
                        self.problem = None
                        return answer.body
                    if not reason.retryable:
                        break
                    await asyncio.sleep(reason.retry_after_s or RETRY_PAUSE_S)
        except TimeoutError:
            pass
        self.problem = f"API server: {reason or 'no answer in time'}"
        raise ReviewError(self.problem) from reason


def _decoded[T](body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ReviewError(f"API server: unexpected answer: {error}") from error


@contextlib.asynccontextmanager
async def api_server(settings: LogServerSettings) -> AsyncIterator[ApiServer | None]:
    """Give the API server of the settings, or None in static mode."""
    if not settings.kubeconfig:
        yield None
        return
    path = None if settings.kubeconfig == IN_CLUSTER else Path(settings.kubeconfig)
    async with contextlib.AsyncExitStack() as stack:
        try:
            api = await stack.enter_async_context(api_client(path, user_agent="wasmlet-log-server"))
        except KubeconfigError as error:
            raise LogServerError(str(error)) from error
        yield ApiServer(api, settings)
