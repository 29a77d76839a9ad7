"""Requests that a handler makes: to allowed hosts only, each on a connection of its own."""

import socket
import time
from collections.abc import Sequence
from typing import Final

from wasm_executor.runtimes.wasihttp.asking import Ask
from wasm_executor.runtimes.wasihttp.errors import HttpFailedError
from wasm_executor.runtimes.wasihttp.messages import OutgoingRequest, RequestOptions
from wasm_executor.runtimes.wasihttp.policy import Policy
from wasm_executor.runtimes.wasihttp.targets import Address, Target
from wasm_executor.runtimes.wasihttp.trust import Trust

CONNECT_TIMEOUT_S: Final = 10.0
_PORTS: Final = {"HTTP": 80, "HTTPS": 443}
_HIGHEST_PORT: Final = 65535


class Outgoing:
    """What one container's handlers may ask of others."""

    def __init__(self, policy: Policy, trust: Trust) -> None:
        self._policy = policy
        self._trust = trust

    def send(
        self, request: OutgoingRequest, options: RequestOptions | None, deadline: float
    ) -> Ask:
        """Begin a request, or raise `HttpFailedError`. It looks the host's name up."""
        scheme = request.scheme or "HTTPS"
        if scheme not in _PORTS:
            raise HttpFailedError("HTTP-protocol-error")
        host, port = _parted(request.authority, _PORTS[scheme])
        if not self._policy.permits(host, port):
            raise HttpFailedError("HTTP-request-denied")
        addresses = self._addresses(host, port)
        target = Target(
            addresses=addresses,
            authority=request.authority or host,
            host=host,
            tls=self._trust.context() if scheme == "HTTPS" else None,
        )
        wanted_s = CONNECT_TIMEOUT_S
        if options is not None and options.connect_ns is not None:
            wanted_s = options.connect_ns / 1e9
        ask = Ask(request, target, connect_by=min(deadline, time.monotonic() + wanted_s))
        request.send(ask)
        return ask

    def _addresses(self, host: str, port: int) -> Sequence[Address]:
        try:
            # As bytes: a text would be encoded by a module that is not loaded.
            found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeEncodeError) as error:
            raise HttpFailedError("DNS-error", (str(error), None)) from error
        addresses = [(family, str(at[0]), port) for family, _, _, _, at in found]
        allowed = [each for each in addresses if self._policy.permits_address(each[1], port)]
        if not allowed:
            raise HttpFailedError("destination-IP-prohibited")
        return allowed


def _parted(authority: str | None, default: int) -> tuple[str, int]:
    """Return host and port; user names are not taken."""
    text = (authority or "").lower()
    host, _, rest = text.partition("]") if text.startswith("[") else text.partition(":")
    port = rest.removeprefix(":")
    host = host.removeprefix("[")
    if not host or "@" in text or (port and not (port.isascii() and port.isdigit())):
        raise HttpFailedError("HTTP-request-URI-invalid")
    number = int(port or default)
    if not 0 < number <= _HIGHEST_PORT:
        raise HttpFailedError("HTTP-request-URI-invalid")
    return host, number
