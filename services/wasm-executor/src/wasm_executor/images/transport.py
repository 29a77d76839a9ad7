"""How a pull speaks HTTP: with time-outs, few retries, and no trust in what it is told.

requests as it comes waits for ever, follows a redirect to plain HTTP, and reads proxies and
passwords from the environment and from files. Here every request is bounded in time, plain HTTP
goes only to registries that the node allows, and nothing is read from the environment.
"""

import ssl
import time
from collections.abc import Callable, Collection
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from wasm_executor.images.jobs import PullLimits

BUSY: Final = frozenset({429, 502, 503})
_REDIRECTS: Final = 5


class PlainHttpError(requests.exceptions.RequestException):
    """A plain HTTP address outside the allow-list; no request was sent."""


class Deadline:
    """What is left of the time for the whole pull."""

    def __init__(self, total_s: float) -> None:
        self._ends_at = time.monotonic() + total_s

    def left_s(self) -> float:
        return max(0.0, self._ends_at - time.monotonic())


class BoundedAdapter(HTTPAdapter):
    """Time-outs on every request, the token requests of oras included, and the allow-list."""

    def __init__(
        self, limits: PullLimits, *, deadline: Deadline, plain: Collection[str], ca_file: str | None
    ) -> None:
        self._limits = limits
        self._deadline = deadline
        self._plain = plain
        self._ca_file = ca_file
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """A CA of the node's is trusted beside the public ones, not instead of them."""
        if self._ca_file is not None:
            context = ssl.create_default_context()
            context.load_verify_locations(self._ca_file)
            kwargs["ssl_context"] = context
        super().init_poolmanager(*args, **kwargs)

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        address = urlsplit(request.url or "")
        if str(address.scheme) != "https" and address.netloc not in self._plain:
            raise PlainHttpError(
                f'registry "{address.netloc}" is not allowed to be reached over plain HTTP',
                request=request,
            )
        left_s = max(self._deadline.left_s(), 0.001)
        kwargs["timeout"] = (
            min(self._limits.connect_timeout_s, left_s),
            min(self._limits.stall_timeout_s, left_s),
        )
        return super().send(request, *args, **kwargs)


def new_session(adapter: BoundedAdapter) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.max_redirects = _REDIRECTS
    session.headers["User-Agent"] = "wasmlet"
    session.headers["Accept-Encoding"] = "identity"
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def with_retries(
    send: Callable[[], requests.Response], limits: PullLimits, deadline: Deadline
) -> requests.Response:
    """Send again when the registry is busy or the connection breaks; never past the deadline."""
    for attempt in range(1, limits.attempts + 1):
        delay_s = limits.retry_delay_s * 2 ** (attempt - 1)
        last = attempt == limits.attempts
        try:
            response = send()
        except requests.exceptions.ConnectionError as error:
            if last or not _may_pass(error) or delay_s >= deadline.left_s():
                raise
        else:
            delay_s = max(delay_s, _retry_after_s(response, limits))
            if last or response.status_code not in BUSY or delay_s >= deadline.left_s():
                return response
            response.close()
        time.sleep(delay_s)
    raise AssertionError("the last attempt returns or raises")


def _may_pass(error: requests.exceptions.ConnectionError) -> bool:
    """A certificate does not get better, and a time-out has already used its time."""
    return not isinstance(error, (requests.exceptions.SSLError, requests.exceptions.Timeout))


def _retry_after_s(response: requests.Response, limits: PullLimits) -> float:
    """Seconds only: a date needs a clock that agrees with the registry's."""
    value = response.headers.get("Retry-After", "")
    return min(float(value), limits.retry_after_limit_s) if value.isdecimal() else 0.0
