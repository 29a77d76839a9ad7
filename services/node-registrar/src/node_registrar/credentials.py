"""What proves a credential: the API server's review of a token, or the folder of enrolments."""

import asyncio
from pathlib import Path
from typing import Final

import msgspec

from kubekit.client import Api
from kubekit.errors import ApiError
from node_registrar.domain.admission import (
    AUDIENCES,
    Claimed,
    RefusedError,
    Reviewed,
    Rules,
    is_enrolled,
    looks_like_token,
    refuse_unless_proved,
)

REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
REVIEW_TIMEOUT_S: Final = 1.2
"""The server waits a little longer for our answer."""
AT_A_TIME: Final = 64
"""So that a flood of connections is not passed on to the API server."""


class _User(msgspec.Struct, frozen=True):
    username: str = ""
    extra: dict[str, tuple[str, ...]] | None = None


class _Status(msgspec.Struct, frozen=True):
    authenticated: bool = False
    user: _User = _User()
    audiences: tuple[str, ...] = ()


class _Review(msgspec.Struct, frozen=True):
    status: _Status = _Status()


class Credentials:
    """Says by what somebody is who he claims to be."""

    def __init__(self, rules: Rules, enrolments: Path | None, api: Api | None) -> None:
        self._rules = rules
        self._enrolments = enrolments
        self._api = api
        self._places = asyncio.Semaphore(AT_A_TIME)

    async def prove(self, who: Claimed, credential: str) -> str:
        """Return what proved it, `enrolment` or `token`; raises `RefusedError`."""
        if is_enrolled(credential, self._digest(who.user)):
            return "enrolment"
        if self._api is None or not self._rules.service_account:
            raise RefusedError("not enrolled, and no tokens are taken here")
        if not looks_like_token(credential):
            raise RefusedError("not enrolled, and not a token")
        async with self._places:
            reviewed = await _review(self._api, credential, AUDIENCES[who.role])
        refuse_unless_proved(who, reviewed, self._rules)
        return "token"

    def _digest(self, user: str) -> str | None:
        """Read at each question: the files are a Secret that changes while this runs."""
        if self._enrolments is None:
            return None
        try:
            return (self._enrolments / user).read_text("ascii")
        except (OSError, ValueError):
            return None


async def _review(api: Api, token: str, audience: str) -> Reviewed:
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": [audience]},
    }
    try:
        answer = await api.request(
            "POST", REVIEWS, body=msgspec.json.encode(body), timeout_s=REVIEW_TIMEOUT_S
        )
        status = msgspec.json.decode(answer.body, type=_Review).status
    except (ApiError, msgspec.MsgspecError) as error:
        raise RefusedError(f"nobody could review the token: {error}") from error
    return Reviewed(
        authenticated=status.authenticated,
        username=status.user.username,
        audiences=status.audiences,
        extra=status.user.extra or {},
    )
