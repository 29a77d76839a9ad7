"""Life cycle hooks: httpGet, for which any response will do, and what a failed hook is told as.

The words are the kubelet's: a pod's status shows them, no Event does, since they may hold secrets.
"""

from collections.abc import Sequence
from dataclasses import replace

from contract.messages.health import HttpGet
from contract.messages.pod import PodPlan
from wasm_executor.checking.errors import AnswerCutError, CheckingError
from wasm_executor.checking.httpget import answer_to
from wasm_executor.checking.request import HOOK_AGENT, Get, request_for
from wasm_executor.checking.wording import PLAIN_ANSWER, quoted


def exec_exited(command: Sequence[str], exit_code: int, output: str) -> str:
    """The CRI client's words of a command that failed; it would quote stderr alone."""
    return f"command '{' '.join(command)}' exited with {exit_code}: {output}"


def exec_hook_failed(
    command: Sequence[str], pod: PodPlan, container: str, error: str, output: str = ""
) -> str:
    what = f"Exec lifecycle hook ([{' '.join(command)}])"
    return f"{_failed(what, pod, container)} - error: {error}, message: {quoted(output)}"


def http_hook_failed(path: str, pod: PodPlan, container: str, error: str) -> str:
    return f"{_failed(f'HTTP lifecycle hook ({path})', pod, container)} - error: {error}"


def _failed(what: str, pod: PodPlan, container: str) -> str:
    full_name = f"{pod.name}_{pod.namespace}({pod.uid})"
    return f"{what} for Container {quoted(container)} in Pod {quoted(full_name)} failed"


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
