"""httpGet probes, with the kubelet's idea of redirects.

A redirect within the host is followed. One to another host ends the probe: the pod has answered,
so it is a success, but one that its owner should hear of.
"""

import asyncio
from typing import Final

from contract.messages.health import HttpGet
from wasm_executor.checking.errors import (
    AnswerCutError,
    CheckingError,
    NoAnswerError,
    NoRequestError,
)
from wasm_executor.checking.exchange import Answer, exchange
from wasm_executor.checking.finding import Finding, failure
from wasm_executor.checking.request import (
    PROBE_AGENT,
    SCHEME_PORTS,
    Get,
    redirected,
    request_for,
    require_sendable,
)
from wasm_executor.checking.wording import quoted
from wasm_executor.domain.checks import Verdict

MAX_REDIRECTS: Final = 10
FOLLOWED: Final = frozenset({301, 302, 303, 307, 308})
FIRST_SUCCESS: Final = 200
FIRST_REDIRECT: Final = 300
FIRST_FAILURE: Final = 400


async def probe_http(action: HttpGet, pod_ip: str, timeout_s: float) -> Finding:
    """Ask once; the time is for all redirects together."""
    try:
        get = request_for(action, pod_ip, PROBE_AGENT)
        answer = await answer_to(get, asyncio.get_running_loop().time() + timeout_s)
    except NoRequestError as error:
        return Finding(verdict=Verdict.UNKNOWN, output=error.text)
    except AnswerCutError as error:
        return Finding(verdict=Verdict.UNKNOWN, output=error.text, state=Verdict.FAILURE)
    except CheckingError as error:
        return failure(error.text)
    return _judged(answer)


async def answer_to(get: Get, deadline: float | None) -> Answer:
    """Follow redirects within the host; errors name the URL that was asked for last."""
    asked_of = get.host
    for _ in range(MAX_REDIRECTS):
        answer = await _asked(get, deadline)
        if answer.status not in FOLLOWED or not answer.location:
            return answer
        following = _followed(get, answer.location)
        if following.host != asked_of:
            return answer
        get, location = following, answer.location
    raise NoAnswerError(f"Get {quoted(location)}: stopped after {MAX_REDIRECTS} redirects")


async def _asked(get: Get, deadline: float | None) -> Answer:
    try:
        require_sendable(get)
        return await exchange(get, deadline)
    except AnswerCutError:
        raise
    except CheckingError as error:
        raise NoAnswerError(f"Get {quoted(get.url)}: {error.text}") from error


def _followed(get: Get, location: str) -> Get:
    try:
        following = redirected(get, location)
    except NoAnswerError as error:
        raise NoAnswerError(f"Get {quoted(get.url)}: {error.text}") from error
    if following.scheme not in SCHEME_PORTS and following.host == get.host:
        problem = f"unsupported protocol scheme {quoted(following.scheme)}"
        raise NoAnswerError(f"Get {quoted(following.url)}: {problem}")
    return following


def _judged(answer: Answer) -> Finding:
    if not FIRST_SUCCESS <= answer.status < FIRST_FAILURE:
        # Without the body: an Event is read by more people than a pod's answers are.
        return failure(f"HTTP probe failed with statuscode: {answer.status}")
    body = answer.body.decode(errors="replace")
    if answer.status >= FIRST_REDIRECT:
        warning = f"Probe terminated redirects, Response body: {body}"
        return Finding(verdict=Verdict.SUCCESS, output=body, warning=warning)
    return Finding(verdict=Verdict.SUCCESS, output=body)
