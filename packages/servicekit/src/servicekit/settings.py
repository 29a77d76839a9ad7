"""Settings: one frozen struct per service, read once from `WASMLET_*` variables.

A typo, a missing value and a value out of bounds each give one clear line, because a setting that
is silently ignored is found only when it was needed. This is the only place that reads the
environment.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from servicekit.errors import SettingsError

PREFIX = "WASMLET_"

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Ratio = Annotated[float, msgspec.Meta(ge=0, le=1)]
CollectorUrl = Annotated[str, msgspec.Meta(pattern=r"^(https?://[^/?#@\s]+(/[^?#@\s]*)?)?$")]
"""Without a login: an address shows up in logs."""


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every service is told."""

    nats_url: str = "nats://127.0.0.1:4222"
    """Of the bus; several, separated by commas, where servers form a cluster."""
    nats_password_file: Path | None = None
    """File with the password of this service's NATS user; never a variable, which children see."""
    nats_token_file: Path | None = None
    """Instead of a password: a token that is shown to the registrar, which then says who this is.
    It is read anew for each connection, and a refusal is no end: the registrar may be away."""
    nats_ca_file: Path | None = None
    """CA of a NATS server that speaks TLS."""
    log_level: str = "info"
    log_format: str = "auto"
    """`json`, `console`, or `auto`: console on a terminal."""
    admin_host: str = "127.0.0.1"
    admin_port: Port = 0
    """Port of `/healthz`, `/readyz` and `/metrics`; 0 takes a free one."""


def read_settings[S: msgspec.Struct](kind: type[S], environ: Mapping[str, str] | None = None) -> S:
    """Return the settings that `WASMLET_*` variables give, or raise `SettingsError`.

    Lists are comma-separated. Names that the struct does not know are refused.
    """
    source = os.environ if environ is None else environ
    hints = get_type_hints(kind, include_extras=True)
    given: dict[str, Any] = {}
    for name, value in source.items():
        if not name.startswith(PREFIX):
            continue
        field = name.removeprefix(PREFIX).lower()
        if field not in hints:
            raise SettingsError(f"unknown setting {name}")
        given[field] = _split(value) if _is_list(hints[field]) else value
    try:
        return msgspec.convert(given, kind, strict=False, dec_hook=_from_text)
    except msgspec.ValidationError as error:
        raise SettingsError(_explain(str(error))) from error


def _is_list(hint: Any) -> bool:
    return get_origin(hint) is tuple or any(get_origin(part) is tuple for part in get_args(hint))


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _from_text(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise SettingsError(f"a setting cannot be a {kind.__name__}")


def _explain(problem: str) -> str:
    """Turn msgspec's path (`$.lease_s`) into the variable that the user wrote."""
    text, _, path = problem.partition(" - at `$.")
    if path:
        return f"{PREFIX}{path.rstrip('`').upper()}: {text}"
    if "missing required field" in text:
        field = text.rsplit("`", 2)[-2]
        return f"{PREFIX}{field.upper()} is not set"
    return problem
