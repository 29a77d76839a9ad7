"""Asks a component on this machine whether it is ready, as the kubelet's httpGet probe would."""

import http.client
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from controlplane.certificates import KeyPair

ANSWER_WITHIN_S = 5.0


def answers_ok(
    port: int, path: str, authority: Path, client: KeyPair | None = None
) -> Callable[[], bool]:
    """A question that is true once https://127.0.0.1:port/path answers 200."""

    def ask() -> bool:
        context = ssl.create_default_context(cafile=str(authority))
        if client is not None:
            context.load_cert_chain(client.certificate, client.key)
        connection = http.client.HTTPSConnection(
            "127.0.0.1", port, context=context, timeout=ANSWER_WITHIN_S
        )
        try:
            connection.request("GET", path)
            with connection.getresponse() as response:
                return response.status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ask


def is_authoritys_server(port: int, authority: str) -> bool:
    """Whether the server on this port has a certificate of this authority (PEM).

    One that is silent (a frozen process) may be it; only a refusal or another's certificate is no.
    """
    try:
        context = ssl.create_default_context(cadata=authority)
        with (
            socket.create_connection(("127.0.0.1", port), ANSWER_WITHIN_S) as connection,
            context.wrap_socket(connection, server_hostname="127.0.0.1"),
        ):
            return True
    except TimeoutError:
        return True
    except OSError:  # ssl.SSLError is one
        return False
