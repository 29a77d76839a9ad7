"""A model of the API server: it holds pods, raises generations, and judges each status."""

from copy import deepcopy
from datetime import datetime, timedelta
from typing import Final

import msgspec

from podmodel.clock import Clock
from podmodel.validation import LISTS, TERMINAL, Json, faults_of

NODE: Final = "wasm-1"
_KEYS: Final = {"conditions": "type"}


class ApiServer:
    """Every change is a new version of a pod, told to whoever watches."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._version = 0
        self._created = 0
        self.pods: dict[str, Json] = {}
        self.changes: list[tuple[str, bytes | None]] = []
        """What the watch has yet to show: a version, or None for a pod that is gone."""

    # What users do

    def create(self, spec: Json) -> str:
        self._created += 1
        uid = f"u-{self._created}"
        self.pods[uid] = {
            "metadata": {
                "name": f"pod-{self._created}",
                "namespace": "default",
                "uid": uid,
                "generation": 1,
            },
            "spec": {"nodeName": NODE, **deepcopy(spec)},
            "status": {"phase": "Pending", "qosClass": "BestEffort"},
        }
        self._changed(uid)
        return uid

    def set_image(self, uid: str, name: str, image: str) -> None:
        spec = self.pods[uid]["spec"]
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            if container["name"] == name:
                container["image"] = image
        self._respecified(uid)

    def add_ephemeral(self, uid: str) -> None:
        containers = self.pods[uid]["spec"].setdefault("ephemeralContainers", [])
        # Before the others, where a strategic merge patch puts it that names it alone.
        containers.insert(0, {"name": f"e{len(containers)}", "image": "guest:1"})
        self._respecified(uid)

    def set_deadline(self, uid: str, seconds: int) -> None:
        self.pods[uid]["spec"]["activeDeadlineSeconds"] = seconds
        self._respecified(uid)

    def set_condition(self, uid: str, kind: str, status: str) -> None:
        """Somebody else's condition, as a controller writes it."""
        conditions = self.pods[uid]["status"].setdefault("conditions", [])
        others = [each for each in conditions if each["type"] != kind]
        at = f"{self._clock.steady:%Y-%m-%dT%H:%M:%SZ}"
        gate = {"type": kind, "status": status, "lastTransitionTime": at}
        self.pods[uid]["status"]["conditions"] = [*others, gate]
        self._changed(uid)

    def delete(self, uid: str, grace_s: int | None) -> None:
        """A graceful deletion; of a pod that has ended, and without grace, at once."""
        pod = self.pods[uid]
        own_s = pod["spec"]["terminationGracePeriodSeconds"]
        asked_s = own_s if grace_s is None else grace_s
        if asked_s == 0 or pod["status"]["phase"] in TERMINAL:
            self.remove(uid)
            return
        metadata = pod["metadata"]
        known_s = metadata.get("deletionGracePeriodSeconds")
        if known_s is not None and asked_s >= known_s:
            return
        if known_s is None:
            metadata["generation"] += 1
            until = self._clock.steady + timedelta(seconds=asked_s)
        else:
            was = datetime.fromisoformat(metadata["deletionTimestamp"])
            until = was - timedelta(seconds=known_s - asked_s)
        metadata["deletionTimestamp"] = f"{until:%Y-%m-%dT%H:%M:%SZ}"
        metadata["deletionGracePeriodSeconds"] = asked_s
        self._changed(uid)

    def remove(self, uid: str) -> None:
        del self.pods[uid]
        self.changes.append((uid, None))

    # What the reconciler does

    def patch_status(self, uid: str, body: bytes) -> bytes | None:
        """Merge a status, and judge what comes of it; None where there is no such pod."""
        pod = self.pods.get(uid)
        if pod is None:
            return None
        patch = msgspec.json.decode(body)
        assert patch["metadata"]["uid"] == uid
        status = merged(pod["status"], patch["status"])
        faults = list(faults_of(pod, status))
        assert not faults, f"{uid}: {faults}"
        if status != pod["status"]:
            pod["status"] = status
            self._changed(uid)
        return self.raw(uid)

    def create_mirror(self, document: Json) -> bytes:
        """The new mirror, or whatever has its name already."""
        names = ("namespace", "name")
        wanted = [document["metadata"][each] for each in names]
        for uid, pod in self.pods.items():
            if [pod["metadata"][each] for each in names] == wanted:
                return self.raw(uid)
        self._created += 1
        uid = f"m-{self._created}"
        metadata = document["metadata"] | {"uid": uid, "generation": 1}
        self.pods[uid] = deepcopy(document | {"metadata": metadata, "status": {"phase": "Pending"}})
        self._changed(uid)
        return self.raw(uid)

    def raw(self, uid: str) -> bytes:
        return msgspec.json.encode(self.pods[uid])

    def containers(self, uid: str) -> dict[str, Json]:
        """The containers of a pod's spec by name."""
        spec = self.pods[uid]["spec"]
        return {each["name"]: each for kind in LISTS.values() for each in spec.get(kind, ())}

    def statuses(self, uid: str) -> dict[str, Json]:
        status = self.pods[uid]["status"]
        return {each["name"]: each for field in LISTS for each in status.get(field, ())}

    def _respecified(self, uid: str) -> None:
        self.pods[uid]["metadata"]["generation"] += 1
        self._changed(uid)

    def _changed(self, uid: str) -> None:
        self._version += 1
        self.pods[uid]["metadata"]["resourceVersion"] = str(self._version)
        self.changes.append((uid, self.raw(uid)))


def merged(status: Json, patch: Json) -> Json:
    """What a strategic merge makes of a status."""
    result = deepcopy(status)
    for field, value in patch.items():
        if field.startswith("$"):
            continue
        if value is None:
            result.pop(field, None)
        elif field in _KEYS:
            result[field] = _merged_by(_KEYS[field], result.get(field, []), value)
        elif isinstance(value, list):
            result[field] = [each for each in value if "$patch" not in each]
        else:
            result[field] = value
    return result


def _merged_by(key: str, before: list[Json], patch: list[Json]) -> list[Json]:
    items: dict[str, Json] = {each[key]: each for each in before}
    for each in patch:
        if each.get("$patch") == "delete":
            items.pop(each[key], None)
            continue
        whole = items.get(each[key], {}) | each
        items[each[key]] = {
            name: value
            for name, value in whole.items()
            if value is not None or name == "lastProbeTime"
        }
    return list(items.values())
