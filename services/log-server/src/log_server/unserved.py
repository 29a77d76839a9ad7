"""Parts of the kubelet API that are not served yet, answered so that their users learn it.

kubectl shows the body behind its own `unable to upgrade connection: `.
"""

from typing import Final

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, Response

_CODE: Final = 501
_STEMS: Final = {"/attach": "attach"}
_METHODS: Final = ["GET", "POST"]


def refuse_unserved(api: FastAPI) -> None:
    """Add the routes. Who is not authorized never gets here."""
    for stem, command in _STEMS.items():
        api.add_api_route(
            f"{stem}/{{rest:path}}", _Refusal(command), methods=_METHODS, response_model=None
        )


class _Refusal:
    """A route's answer, always the same."""

    def __init__(self, command: str) -> None:
        self._text = f"{command} is not served by this kubelet yet"

    async def __call__(self) -> Response:
        return PlainTextResponse(self._text, _CODE)
