"""httpGet of a life cycle hook. Any response will do; only to have none is a failure."""

from dataclasses import replace

from contract.messages.health import HttpGet
from wasm_executor.checking.errors import AnswerCutError, CheckingError
from wasm_executor.checking.httpget import answer_to
from wasm_executor.checking.request import HOOK_AGENT, Get, request_for
from wasm_executor.checking.wording import PLAIN_ANSWER


async def call_hook(action: HttpGet, pod_ip: str) -> str | None:
    """Call it and return why it failed. It has no time-out of its own: the caller's grace ends it.

    An HTTPS hook of a server that speaks plain HTTP is called again without TLS, and without
    the credentials that it was meant to protect.
    """
    try:
        get = request_for(action, pod_ip, HOOK_AGENT)
    except CheckingError as error:
        return error.text
    failed = await _failure_of(get)
    if failed is None or PLAIN_ANSWER not in failed:
        return failed
    return None if await _failure_of(_in_plain(get)) is None else failed


async def _failure_of(get: Get) -> str | None:
    try:
        await answer_to(get, None)
    except AnswerCutError:
        return None  # nobody asks what a hook's answer says
    except CheckingError as error:
        return error.text
    return None


def _in_plain(get: Get) -> Get:
    kept = tuple(field for field in get.fields if field[0] != "Authorization")
    return replace(get, scheme="http", url=get.url.replace("https", "http", 1), fields=kept)
