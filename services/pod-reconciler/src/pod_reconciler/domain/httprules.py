"""How a pod wants its HTTP handlers run: annotations of one prefix, each checked for itself."""

from collections.abc import Mapping
from typing import Final

import msgspec

from contract.messages.pod import HttpRules
from pod_reconciler.domain.container import Container
from pod_reconciler.errors import PlanError
from podspec import hostrules
from podspec.errors import QuantityError
from podspec.quantity import parse_quantity, whole_units

REUSE: Final = "wasmlet.dev/http-reuse"
CONCURRENCY: Final = "wasmlet.dev/http-concurrency"
TIMEOUT: Final = "wasmlet.dev/http-timeout-seconds"
MAX_BODY: Final = "wasmlet.dev/http-max-body"
ACCESS_LOG: Final = "wasmlet.dev/http-access-log"
ALLOWED_HOSTS: Final = "wasmlet.dev/allowed-hosts"
MOST_REUSES: Final = 1_000_000
MOST_CONCURRENT: Final = 1000
MOST_TIMEOUT_S: Final = 24 * 3600.0
MOST_BODY: Final = 1 << 40
_BOOLEANS: Final = {"true": True, "false": False}


def http_rules(annotations: Mapping[str, str]) -> HttpRules | None:
    """Return what the annotations say, None if nothing; raise `PlanError` naming a wrong one."""
    rules = HttpRules(
        reuse=_count(annotations, REUSE, MOST_REUSES),
        concurrency=_count(annotations, CONCURRENCY, MOST_CONCURRENT),
        timeout_s=_seconds(annotations, TIMEOUT),
        max_body_bytes=_bytes(annotations, MAX_BODY),
        access_log=_boolean(annotations, ACCESS_LOG),
        allowed_hosts=_names(annotations, ALLOWED_HOSTS),
    )
    return None if rules == HttpRules() else rules


def tcp_ports(container: Container) -> tuple[int, ...]:
    """Return the container's TCP ports, each once, in their order."""
    declared = (each.container_port for each in container.ports if each.protocol == "TCP")
    return tuple(dict.fromkeys(declared))


def _count(annotations: Mapping[str, str], name: str, most: int) -> int | None:
    text = annotations.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise _wrong(name, text, f"a number from 1 to {most}")
    return int(text)


def _seconds(annotations: Mapping[str, str], name: str) -> float | None:
    text = annotations.get(name)
    if text is None:
        return None
    try:
        seconds = msgspec.json.decode(text, type=float)
    except msgspec.DecodeError as error:
        raise _wrong(name, text, "a number of seconds") from error
    if not 0 < seconds <= MOST_TIMEOUT_S:
        raise _wrong(name, text, f"a number of seconds up to {MOST_TIMEOUT_S:.0f}")
    return seconds


def _bytes(annotations: Mapping[str, str], name: str) -> int | None:
    text = annotations.get(name)
    if text is None:
        return None
    try:
        amount = whole_units(parse_quantity(text))
    except QuantityError as error:
        raise _wrong(name, text, "an amount of bytes") from error
    if not 0 <= amount <= MOST_BODY:
        raise _wrong(name, text, "an amount of bytes up to 1Ti")
    return amount


def _boolean(annotations: Mapping[str, str], name: str) -> bool:
    text = annotations.get(name, "false")
    if text not in _BOOLEANS:
        raise _wrong(name, text, "true or false")
    return _BOOLEANS[text]


def _names(annotations: Mapping[str, str], name: str) -> tuple[str, ...]:
    parts = (part.strip().lower() for part in annotations.get(name, "").split(","))
    names = tuple(part for part in parts if part)
    for each in names:
        if not hostrules.is_host_rule(each):
            raise _wrong(name, each, hostrules.WANTED)
    return names


def _wrong(name: str, text: str, wanted: str) -> PlanError:
    return PlanError(f"metadata.annotations[{name}]", f"{text!r} is not {wanted}")
