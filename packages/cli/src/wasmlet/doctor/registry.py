"""Whether a registry can be reached from here: what it answers to the first question of a pull."""

import http.client
import ssl
from contextlib import closing
from typing import Final

from wasmlet.doctor.findings import Finding, problem, warning, well

_ANSWER_WITHIN_S: Final = 5.0
_SPEAKS: Final = (200, 401, 403)
"""A registry that asks who we are is there."""


def registry_finding(host: str, *, plain: bool) -> Finding:
    """Ask `/v2/`."""
    about = f"registry {host}"
    try:
        status = _status(host, plain=plain)
    except ssl.SSLCertVerificationError as error:
        reason = error.verify_message or str(error)
        advice = "give its CA to the executor (WASMLET_REGISTRY_CAS), or name it as insecure"
        return problem(about, f"its certificate is not trusted ({reason})", advice)
    except ssl.SSLError as error:
        advice = "if it speaks plain HTTP, name it in WASMLET_INSECURE_REGISTRIES"
        return problem(about, f"it speaks no TLS ({error.reason})", advice)
    except (OSError, http.client.HTTPException, UnicodeError) as error:  # the last: of a name
        reason = str(error) or type(error).__name__
        return problem(about, f"not reached ({reason})", "check its name, the port, and the way")
    if status in _SPEAKS:
        return well(about, "answers" if status == _SPEAKS[0] else "answers, and asks who we are")
    return warning(about, f"answers {status} to /v2/", "is it a registry?")


def _status(host: str, *, plain: bool) -> int:
    kind = http.client.HTTPConnection if plain else http.client.HTTPSConnection
    with closing(kind(host, timeout=_ANSWER_WITHIN_S)) as connection:
        connection.request("GET", "/v2/")
        return connection.getresponse().status
