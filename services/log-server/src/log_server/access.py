"""Authentication and authorization of one request, as the kubelet does them, failing closed.

Verdicts of the API server are remembered as long as the kubelet remembers them; that it could not
be asked is not. Without an API server nobody can be known.
"""

import hashlib
import time
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
import structlog

from contract.ids import NodeName
from log_server.domain.attributes import error_text, forbidden_text, subresources_of, verb_of
from log_server.domain.identity import (
    PeerCertificate,
    User,
    bearer_token,
    user_of_certificate,
    with_authenticated_group,
)
from log_server.domain.remembering import Remembered
from log_server.errors import ReviewError
from log_server.kube import ApiServer
from log_server.metrics import AUTHENTICATIONS, AUTHORIZATIONS
from log_server.settings import LogServerSettings
from log_server.sharing import Shared

log = structlog.get_logger()

CACHE_LIMIT: Final = 4096


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to whoever may not pass."""

    code: int
    text: str


UNAUTHORIZED: Final = Refusal(code=401, text="Unauthorized")


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a TokenReview said: whose token it is, or that it is nobody's."""

    user: User | None


class _Question(msgspec.Struct, frozen=True, kw_only=True):
    user: User
    verb: str
    subresource: str
    node: NodeName


class Access:
    """Decides who may pass. One for all listeners of this process."""

    def __init__(
        self,
        api: ApiServer | None,
        settings: LogServerSettings,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._api = api
        self._settings = settings
        self._clock = clock
        self._wall = wall
        self._tokens: Remembered[bytes, Verdict] = Remembered(CACHE_LIMIT)
        self._reviews: Remembered[_Question, bool] = Remembered(CACHE_LIMIT)
        self._token_questions: Shared[bytes, Verdict] = Shared()
        self._access_questions: Shared[_Question, bool] = Shared()

    async def refusal(
        self,
        node: NodeName,
        method: str,
        path: str,
        headers: Iterable[tuple[bytes, bytes]],
        peer: PeerCertificate | None,
    ) -> Refusal | None:
        """Return why this request may not pass, or None when it may."""
        user = await self._user(headers, peer)
        if user is None:
            return UNAUTHORIZED
        return await self._forbidden(user, node, method, path)

    async def _user(
        self, headers: Iterable[tuple[bytes, bytes]], peer: PeerCertificate | None
    ) -> User | None:
        user = user_of_certificate(peer, self._wall())
        if user is not None:
            AUTHENTICATIONS.labels("certificate").inc()
            return user
        token = bearer_token(headers)
        if token is None or self._api is None:
            AUTHENTICATIONS.labels("none").inc()
            return None
        try:
            user = (await self._verdict(self._api, token)).user
        except ReviewError as error:
            AUTHENTICATIONS.labels("error").inc()
            log.warning("token.unreviewed", reason=str(error))
            return None
        AUTHENTICATIONS.labels("token" if user else "refused").inc()
        return user

    async def _verdict(self, api: ApiServer, token: str) -> Verdict:
        # The token itself is not kept: a dump of this memory shows none but those in flight.
        digest = hashlib.sha256(token.encode()).digest()
        known = self._tokens.get(digest, self._clock())
        if known is not None:
            return known

        async def review() -> Verdict:
            user = await api.user_of_token(token)
            verdict = Verdict(user=None if user is None else with_authenticated_group(user))
            until = self._clock() + self._settings.token_cache_s
            self._tokens.put(digest, verdict, until=until)
            return verdict

        return await self._token_questions.ask(digest, review)

    async def _forbidden(
        self, user: User, node: NodeName, method: str, path: str
    ) -> Refusal | None:
        verb, subresources = verb_of(method, path), subresources_of(path)
        for subresource in subresources:
            question = _Question(user=user, verb=verb, subresource=subresource, node=node)
            try:
                allowed = await self._allowed(question)
            except ReviewError as error:
                AUTHORIZATIONS.labels("error").inc()
                log.warning("access.unreviewed", user=user.name, reason=str(error))
                return Refusal(code=500, text=error_text(user.name, verb, subresource))
            if allowed:
                AUTHORIZATIONS.labels("allowed").inc()
                return None
        AUTHORIZATIONS.labels("forbidden").inc()
        log.info("request.forbidden", user=user.name, verb=verb, subresources=subresources)
        return Refusal(code=403, text=forbidden_text(user.name, verb, subresources))

    async def _allowed(self, question: _Question) -> bool:
        known = self._reviews.get(question, self._clock())
        if known is not None:
            return known
        api, settings = self._api, self._settings
        if api is None:
            raise ReviewError("there is no API server")

        async def review() -> bool:
            allowed = await api.may(
                question.user, question.verb, question.subresource, question.node
            )
            lifetime = settings.allow_cache_s if allowed else settings.deny_cache_s
            self._reviews.put(question, allowed, until=self._clock() + lifetime)
            return allowed

        return await self._access_questions.ask(question, review)
