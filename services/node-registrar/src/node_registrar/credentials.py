"""What proves a credential: the API server's review of a token, or the folder of enrolments.

An enrolment is a digest, and the time until which its machine has to come for the first time. That
it came in time is what its Node tells, which only a registrar makes: nothing is written here.
"""

import asyncio
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import msgspec

from kubekit.client import Api
from kubekit.errors import ApiError, NotFoundError
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
from node_registrar.domain.granting import INCARNATION

REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
REVIEW_TIMEOUT_S: Final = 1.2
"""The server waits a little longer for our answer."""
AT_A_TIME: Final = 64
"""So that a flood of connections is not passed on to the API server."""


_Time = Annotated[dt.datetime, msgspec.Meta(tz=True)]


class _Enrolment(msgspec.Struct, frozen=True):
    """One file of the folder: `DIGEST`, or `DIGEST END`."""

    digest: str
    end: dt.datetime | None = None


class _Metadata(msgspec.Struct, frozen=True):
    annotations: dict[str, str] = {}


class _Node(msgspec.Struct, frozen=True):
    metadata: _Metadata = _Metadata()


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


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

    def __init__(
        self,
        rules: Rules,
        enrolments: Path | None,
        api: Api | None,
        now: Callable[[], dt.datetime] = _now,
    ) -> None:
        self._rules = rules
        self._enrolments = enrolments
        self._api = api
        self._now = now
        self._came: set[str] = set()
        """Digests that have let somebody in: they count while the API server is away, too."""
        self._places = asyncio.Semaphore(AT_A_TIME)

    async def prove(self, who: Claimed, credential: str) -> str:
        """Return what proved it, `enrolment` or `token`; raises `RefusedError`."""
        enrolled = self._enrolment(who.user)
        if enrolled is not None and is_enrolled(credential, enrolled.digest):
            await self._refuse_ended(who, enrolled)
            self._came.add(enrolled.digest)
            return "enrolment"
        if self._api is None or not self._rules.service_account:
            raise RefusedError("not enrolled, and no tokens are taken here")
        if not looks_like_token(credential):
            raise RefusedError("not enrolled, and not a token")
        async with self._places:
            reviewed = await _review(self._api, credential, AUDIENCES[who.role])
        refuse_unless_proved(who, reviewed, self._rules)
        return "token"

    async def _refuse_ended(self, who: Claimed, enrolled: _Enrolment) -> None:
        """Raise `RefusedError` where the time is over, and the machine has not come before."""
        if enrolled.end is None or enrolled.digest in self._came or self._now() <= enrolled.end:
            return
        if self._api is None:
            raise RefusedError("the enrolment has ended")
        async with self._places:
            if not await _is_our_node(self._api, who):
                raise RefusedError("the enrolment has ended, and its machine had not joined")

    def _enrolment(self, user: str) -> _Enrolment | None:
        """Read at each question: the files are a Secret that changes while this runs."""
        if self._enrolments is None:
            return None
        try:
            digest, *end = (self._enrolments / user).read_text("ascii").split()
            return _Enrolment(digest, *(msgspec.convert(each, _Time) for each in end))
        except (OSError, ValueError, TypeError, msgspec.MsgspecError):
            return None


async def _is_our_node(api: Api, who: Claimed) -> bool:
    try:
        answer = await api.request("GET", f"/api/v1/nodes/{who.node}", timeout_s=REVIEW_TIMEOUT_S)
        node = msgspec.json.decode(answer.body, type=_Node)
    except NotFoundError:
        return False
    except (ApiError, msgspec.MsgspecError) as error:
        raise RefusedError(f"the enrolment has ended, and its Node is unknown: {error}") from error
    return INCARNATION in node.metadata.annotations


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
