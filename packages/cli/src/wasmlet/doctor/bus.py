"""Whether the bus lets somebody in who comes as the services do."""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Final

import nats
import nats.errors

from wasmlet.doctor.arguments import DoctorOptions
from wasmlet.doctor.findings import Finding, problem, well
from wasmlet.errors import CommandLineError, UsageError

_ANSWER_WITHIN_S: Final = 5


class RefusedError(CommandLineError):
    """Who answers does not let us in."""


async def bus_findings(options: DoctorOptions) -> Finding:
    """Connect once."""
    about = f"bus {options.bus}"
    try:
        version = await _connect(options)
    except ssl.SSLError as error:
        return problem(about, f"its TLS is not trusted ({error})", "give its CA: --bus-ca FILE")
    except RefusedError as error:
        return _refused(about, options, str(error))
    except (OSError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        return problem(about, f"not reached ({reason})", "is NATS up, and its port open from here?")
    return well(about, f"nats-server {version} lets in {options.bus_user or 'anybody'}")


def _refused(about: str, options: DoctorOptions, reason: str) -> Finding:
    if "authorization" not in reason.lower():
        return problem(about, reason, "is this the URL of a NATS server?")
    if options.bus_user is None:
        return well(about, "answers, and lets in nobody without a credential")
    advice = "compare the password with the server's; after `helm upgrade` restart what is older"
    return problem(about, f"it refuses {options.bus_user}", advice)


async def _connect(options: DoctorOptions) -> str:
    """Return the server's version. Of a refusal, nats-py tells the callback alone."""
    assert options.bus is not None
    said: list[Exception] = []
    limit = asyncio.timeout(2 * _ANSWER_WITHIN_S)

    async def hear(error: Exception) -> None:
        said.append(error)
        if isinstance(error, ssl.SSLError):
            # nats-py would wait for ever for the end of a handshake that failed.
            limit.reschedule(0)

    try:
        async with limit:
            client = await nats.connect(
                options.bus.split(","),
                user=options.bus_user,
                password=_password(options),
                tls=_tls(options),
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=_ANSWER_WITHIN_S,
                error_cb=hear,
            )
    except (nats.errors.Error, TimeoutError) as error:
        raise _cause(said, error) from error
    version = str(client.connected_server_version)
    await client.close()
    return version


def _cause(said: Sequence[Exception], last: Exception) -> Exception:
    """Return what went wrong first: what follows are tries again.

    Of several servers, in whatever order they were tried, one that answers says more than others
    that are not reached.
    """
    told = [each for each in said if str(each)] or [last]
    refusal = next((each for each in told if _is_answer(each)), None)
    return told[0] if refusal is None else RefusedError(str(refusal))


def _is_answer(error: Exception) -> bool:
    return isinstance(error, nats.errors.Error) and not isinstance(error, TimeoutError)


def _password(options: DoctorOptions) -> str | None:
    if options.bus_password_file is None:
        return None
    try:
        return options.bus_password_file.read_text().strip()
    except OSError as error:
        raise UsageError(f"--bus-password-file: {error}") from error


def _tls(options: DoctorOptions) -> ssl.SSLContext | None:
    if options.bus_ca is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(options.bus_ca))
    except OSError as error:
        raise UsageError(f"--bus-ca: {error}") from error
