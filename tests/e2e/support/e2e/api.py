"""The administrator's plain JSON requests to the API server: no models, no caches."""

import ssl
from typing import Any, Self

import httpx

from controlplane import ControlPlane

STRATEGIC_MERGE = "application/strategic-merge-patch+json"
ANSWER_WITHIN_S = 10.0


class Api:
    """Raises `httpx.HTTPStatusError` for what the API server refuses."""

    def __init__(self, plane: ControlPlane) -> None:
        context = ssl.create_default_context(cafile=str(plane.authority))
        context.load_cert_chain(plane.admin.certificate, plane.admin.key)
        self._client = httpx.Client(
            base_url=plane.server, verify=context, timeout=ANSWER_WITHIN_S, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, **query: str) -> dict[str, Any]:
        return _json(self._client.get(path, params=query))

    def find(self, path: str) -> dict[str, Any] | None:
        """What `get` gives, or None where there is no such object."""
        answer = self._client.get(path)
        return None if answer.status_code == httpx.codes.NOT_FOUND else _json(answer)

    def lines(self, path: str, **query: str) -> list[str]:
        """What a watch gives within a second, one change a line."""
        answer = self._client.get(path, params={**query, "timeoutSeconds": "1"})
        return answer.raise_for_status().text.splitlines()

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return _json(self._client.post(path, json=body))

    def patch(
        self, path: str, body: dict[str, Any], content_type: str = STRATEGIC_MERGE
    ) -> dict[str, Any]:
        return _json(self._client.patch(path, json=body, headers={"Content-Type": content_type}))

    def delete(self, path: str, **options: object) -> None:
        """Deletes; an object that is gone is as good."""
        answer = self._client.request("DELETE", path, json=options)
        if answer.status_code != httpx.codes.NOT_FOUND:
            _json(answer)


def _json(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        message = f"{answer.request.method} {answer.request.url}: {answer.status_code}"
        raise httpx.HTTPStatusError(
            f"{message} {answer.text}", request=answer.request, response=answer
        )
    decoded: dict[str, Any] = answer.json()
    return decoded
