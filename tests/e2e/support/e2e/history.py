"""What happened to the pods of a namespace, change by change, told by the API server afterwards.

A test that looks now and then misses what lasts for a moment: one pod too few, two steps in the
wrong order. The API server keeps every change for longer than a test takes, and gives them again.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from e2e.api import Api
from e2e.expectations import eventually

Pod = dict[str, Any]
ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"
_ENDED = ("Succeeded", "Failed")


class Moment(NamedTuple):
    """One change: of which kind, the pod as it left it, and all pods that there were after it."""

    kind: str
    pod: Pod
    pods: dict[str, Pod]

    @property
    def name(self) -> str:
        return name_of(self.pod)

    def count(self, claim: Callable[[Pod], bool]) -> int:
        """How many of the pods then were so."""
        return sum(claim(each) for each in self.pods.values())


class History:
    """Begins when it is made. `path` names other objects of the namespace than its pods."""

    def __init__(self, api: Api, namespace: str, path: str | None = None) -> None:
        self._api = api
        self._path = path or f"/api/v1/namespaces/{namespace}/pods"
        self._since, self._first = self._listed()

    def moments(self) -> list[Moment]:
        """All changes until now. None is left out: they end in the pods that there are now."""
        (moments,) = eventually(self._whole)
        return moments

    def await_end(self) -> None:
        """Returns when there are no pods any more."""
        eventually(lambda: not self._listed()[1])

    def _whole(self) -> tuple[list[Moment]]:
        """In a tuple, because an empty list would count as not yet."""
        _, now = self._listed()
        moments = self._replayed()
        last = moments[-1].pods if moments else self._first
        assert _versions(last) == _versions(now), "the history has not come to its end yet"
        return (moments,)

    def _replayed(self) -> list[Moment]:
        pods, moments = dict(self._first), []
        for line in self._api.lines(self._path, watch="1", resourceVersion=self._since):
            change = json.loads(line)
            kind, pod = change["type"], change["object"]
            assert kind in (ADDED, MODIFIED, DELETED), change
            pods = {**pods, name_of(pod): pod}
            if kind == DELETED:
                del pods[name_of(pod)]
            moments.append(Moment(kind, pod, pods))
        return moments

    def _listed(self) -> tuple[str, dict[str, Pod]]:
        found = self._api.get(self._path)
        pods = {name_of(each): each for each in found["items"]}
        return found["metadata"]["resourceVersion"], pods


def name_of(pod: Pod) -> str:
    return str(pod["metadata"]["name"])


def uid_of(pod: Pod) -> str:
    return str(pod["metadata"]["uid"])


def is_deleting(pod: Pod) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def is_over(pod: Pod) -> bool:
    return pod["status"].get("phase") in _ENDED


def condition(pod: Pod, kind: str) -> dict[str, Any]:
    """The condition of this type; empty where there is none."""
    found = pod["status"].get("conditions", [])
    return next((each for each in found if each["type"] == kind), {})


def is_available(pod: Pod) -> bool:
    """Ready, as controllers and budgets count it, and rightly so: its containers run."""
    ready = condition(pod, "Ready").get("status") == "True" and not is_deleting(pod)
    return ready and all("running" in each["state"] for each in pod["status"]["containerStatuses"])


def _versions(pods: dict[str, Pod]) -> dict[str, str]:
    return {name: pod["metadata"]["resourceVersion"] for name, pod in pods.items()}
