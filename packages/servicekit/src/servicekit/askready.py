"""`python -m servicekit.askready PORT`: a health check for images that have no shell and no curl.

It asks a service of the same container for `/readyz`, says what it answered, and ends with 0 where
that is 200. It imports no more than it needs: an engine starts it every few seconds.
"""

import http.client
import sys
from typing import Final

ANSWER_WITHIN_S: Final = 3.0
_USAGE: Final = 2


def main(arguments: list[str]) -> int:
    """Ask once; returns 0, or 1 with the reason on stdout, which the engine shows."""
    if len(arguments) != 1 or not arguments[0].isdecimal():
        sys.stderr.write("usage: python -m servicekit.askready PORT\n")
        return _USAGE
    connection = http.client.HTTPConnection("127.0.0.1", int(arguments[0]), timeout=ANSWER_WITHIN_S)
    try:
        connection.request("GET", "/readyz")
        with connection.getresponse() as response:
            answer = response.read().decode(errors="replace")
            is_ready = response.status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException) as error:
        answer, is_ready = f"no answer: {error}", False
    finally:
        connection.close()
    sys.stdout.write(f"{answer}\n")
    return 0 if is_ready else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
