"""Answers to a registry's 401: the password, or a token that is bought with it.

Whom a password is shown decides a registry that nobody has to trust: it names the realm where its
tokens are. So a realm is asked only where it is the registry itself, or a host that is known or
listed to give tokens; a token is for pulling and nothing else; and no redirect is followed.
"""

import base64
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

import msgspec
import requests
import urllib3.exceptions

from wasm_executor.images.jobs import Credentials
from wasm_executor.images.registries.challenge import Challenge, parse_challenges
from wasm_executor.images.registries.registryhosts import RegistryHost

TOKEN_HOSTS: Final[Mapping[str, frozenset[str]]] = {
    "registry-1.docker.io": frozenset({"auth.docker.io"}),
    "registry.gitlab.com": frozenset({"gitlab.com"}),
}
"""Registries that are known to have their tokens elsewhere."""
_CLIENT: Final = "wasmlet"
_OK: Final = 200
_DENIED: Final = frozenset({400, 401, 403})
_LARGEST: Final = 1 << 20


class AuthorizationError(requests.exceptions.RequestException):
    """There is no token to be had. `denied` says that other credentials may get one."""

    def __init__(self, text: str, *, denied: bool = False) -> None:
        self.denied = denied
        super().__init__(text)


class TokenRequest(NamedTuple):
    """What is sent to a realm."""

    method: str
    url: str
    headers: dict[str, str]
    form: str | None


type SendTokenRequest = Callable[[TokenRequest], requests.Response]


class _Answer(msgspec.Struct, frozen=True):
    token: str | None = None
    access_token: str | None = None


class Authorizer:
    """For one registry host and one repository of it."""

    def __init__(
        self,
        host: RegistryHost,
        repository: str,
        credentials: Credentials | None,
        token_hosts: Collection[str],
        send: SendTokenRequest,
    ) -> None:
        self._host = host
        self._repository = repository
        self._credentials = None if host.is_mirror else credentials
        self._token_hosts = {*token_hosts, *TOKEN_HOSTS.get(host.netloc, ())}
        self._send = send
        self.header = ""
        """What is shown to the registry; empty before it asked."""

    def answer(self, response: requests.Response) -> bool:
        """Have a new header for a challenge; False where there is no answer to it."""
        self.header = ""
        challenges = parse_challenges(response.headers.get("WWW-Authenticate", ""))
        by_scheme = {each.scheme: each for each in reversed(challenges)}
        if "bearer" in by_scheme:
            self.header = f"Bearer {self._token(by_scheme['bearer'])}"
        elif "basic" in by_scheme and self._pair():
            self.header = f"Basic {self._pair()}"
        return bool(self.header)

    def _pair(self) -> str:
        given = self._credentials
        if given is None or not (given.username or given.password):
            return ""
        return base64.b64encode(f"{given.username}:{given.password}".encode()).decode()

    def _token(self, challenge: Challenge) -> str:
        realm = challenge.parameters.get("realm", "")
        self._check_realm(realm)
        wanted = self._token_request(realm, challenge.parameters)
        kind = "oauth" if self._credentials else "anonymous"
        prefix = f"failed to authorize: failed to fetch {kind} token"
        with self._send(wanted) as response:
            status = response.status_code
            if status != _OK:
                raise AuthorizationError(
                    f"{prefix}: unexpected status from {wanted.method} request to "
                    f"{wanted.url}: {status} {response.reason}",
                    denied=status in _DENIED,
                )
            body = _read(response, prefix)
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError):
            # Not raised from: a token that is nearly one is a secret, too.
            raise AuthorizationError(f"{prefix}: {realm} answered no JSON with a token") from None
        token = answer.token or answer.access_token or ""
        if not token or not token.isascii() or not token.isprintable():
            raise AuthorizationError(f"{prefix}: {realm} gave no token")
        return token

    def _check_realm(self, realm: str) -> None:
        parts = urlsplit(realm)
        prefix = "failed to authorize: "
        if parts.scheme not in {"http", "https"} or not parts.netloc or "@" in parts.netloc:
            raise AuthorizationError(f"{prefix}the registry names no realm for its tokens")
        if parts.netloc.lower() == self._host.netloc.lower():
            if parts.scheme == "http" and not self._host.is_plain:
                raise AuthorizationError(f"{prefix}the realm {realm} is plain HTTP")
        elif parts.netloc not in self._token_hosts:
            raise AuthorizationError(
                f'{prefix}registry "{self._host.netloc}" sends for its tokens to '
                f'"{parts.netloc}", which this node does not trust with credentials: '
                "add it to REGISTRY_TOKEN_HOSTS if it should"
            )

    def _token_request(self, realm: str, said: Mapping[str, str]) -> TokenRequest:
        asked = {"scope": self._scope(said.get("scope", ""))}
        if said.get("service"):
            asked["service"] = said["service"]
        given = self._credentials
        if given is not None and given.identity_token:
            form = {
                **asked,
                "grant_type": "refresh_token",
                "client_id": _CLIENT,
                "refresh_token": given.identity_token,
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return TokenRequest("POST", realm, headers, urlencode(form))
        joint = "&" if urlsplit(realm).query else "?"
        pair = self._pair()
        headers = {"Authorization": f"Basic {pair}"} if pair else {}
        return TokenRequest("GET", f"{realm}{joint}{urlencode(asked)}", headers, None)

    def _scope(self, said: str) -> str:
        """What the registry asks for, as long as it is to pull."""
        scopes = said.split()
        if scopes and all(each.endswith(":pull") for each in scopes):
            return said
        return f"repository:{self._repository}:pull"


def _read(response: requests.Response, prefix: str) -> bytes:
    """At most what a token may have; the time-outs of the connection hold."""
    try:
        read: Any = response.raw.read(_LARGEST, decode_content=False)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise AuthorizationError(f"{prefix}: {response.url.split('?')[0]} broke off") from error
    return bytes(read)
