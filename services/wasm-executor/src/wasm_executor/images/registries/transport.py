"""How a pull speaks HTTP: with time-outs, few retries, and no trust in what it is told.

requests as it comes waits for ever, follows a redirect to plain HTTP, reads the bodies of redirects
whole, keeps cookies, and reads proxies and passwords from the environment and from files. Here
every request is bounded in time, plain HTTP goes only to hosts that the node allows, credentials
stay with the host that they are for, and nothing is read from the environment.
"""

import email.utils
import ssl
import time
from collections.abc import Callable, Collection
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from wasm_executor.images.jobs import PullLimits

BUSY: Final = frozenset({429, 502, 503})
_REDIRECTS: Final = 5
_MOVED: Final = frozenset({301, 302, 303, 307, 308})


class PlainHttpError(requests.exceptions.RequestException):
    """A plain HTTP address outside the allow-list; no request was sent."""


class Deadline:
    """What is left of the time for the whole pull."""

    def __init__(self, total_s: float) -> None:
        self._ends_at = time.monotonic() + total_s

    def left_s(self) -> float:
        return max(0.0, self._ends_at - time.monotonic())


class BoundedAdapter(HTTPAdapter):
    """Time-outs on every request, and the allow-list."""

    def __init__(
        self,
        limits: PullLimits,
        *,
        deadline: Deadline,
        plain: Collection[str],
        ca_files: Collection[str] = (),
    ) -> None:
        self._limits = limits
        self._deadline = deadline
        self._plain = plain
        self._ca_files = ca_files
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """CAs of the node's are trusted beside the public ones, not instead of them."""
        if self._ca_files:
            context = ssl.create_default_context()
            for file in self._ca_files:
                context.load_verify_locations(file)
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


class PullSession(requests.Session):
    """One per pull. `adapter_for` makes what speaks to a host: each may have its own CAs."""

    def __init__(self, adapter_for: Callable[[str], BoundedAdapter]) -> None:
        super().__init__()
        self._adapter_for = adapter_for
        self._adapters_by_host: dict[str, BoundedAdapter] = {}
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers["User-Agent"] = "wasmlet"
        self.headers["Accept-Encoding"] = "identity"

    def get_adapter(self, url: str | bytes) -> BoundedAdapter:
        netloc = urlsplit(str(url)).netloc.lower()
        if netloc not in self._adapters_by_host:
            self._adapters_by_host[netloc] = self._adapter_for(netloc)
        return self._adapters_by_host[netloc]

    def get_redirect_target(self, resp: requests.Response) -> None:
        """There is none as far as requests knows: it would read the body of a redirect whole."""

    def ask(self, method: str, url: str, headers: dict[str, str], secret: str) -> requests.Response:
        """Send, and follow redirects; `secret` is shown to the first address's host alone."""
        origin = urlsplit(url)[:2]
        for _ in range(_REDIRECTS + 1):
            is_own = urlsplit(url)[:2] == origin
            sent = headers | ({"Authorization": secret} if secret and is_own else {})
            response = self.request(method, url, headers=sent, stream=True, allow_redirects=False)
            target = response.headers.get("Location")
            if response.status_code not in _MOVED or target is None:
                if method == "HEAD":
                    response.content  # noqa: B018  # reads nothing, and frees the connection
                return response
            response.close()
            url = urljoin(url, target)
        raise requests.exceptions.TooManyRedirects(request=response.request)


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
            delay_s = max(delay_s, retry_after_s(response, limits))
            if last or response.status_code not in BUSY or delay_s >= deadline.left_s():
                return response
            response.close()
        time.sleep(delay_s)
    raise AssertionError("the last attempt returns or raises")


def _may_pass(error: requests.exceptions.ConnectionError) -> bool:
    """A certificate does not get better, and a time-out has already used its time."""
    return not isinstance(error, (requests.exceptions.SSLError, requests.exceptions.Timeout))


def retry_after_s(response: requests.Response, limits: PullLimits) -> float:
    """How long the registry wants to be left alone, within the limit.

    Of a date counts the distance to the registry's own: its clock may be another than ours.
    """
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        asked_s = float(value[:9])
    else:
        try:
            until = email.utils.parsedate_to_datetime(value)
            present = email.utils.parsedate_to_datetime(response.headers.get("Date", ""))
            asked_s = (until - present).total_seconds()
        except (ValueError, TypeError):
            return 0.0
    return min(max(asked_s, 0.0), limits.retry_after_limit_s)
