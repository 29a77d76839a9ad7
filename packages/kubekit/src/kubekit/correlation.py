"""Which Event becomes a new object, which a higher count, and which is one too many. Pure.

The rules and measures are client-go's EventCorrelator's, so that `kubectl describe` shows for our
nodes what it shows for any other: the same Event again is a count; many that differ only in their
message become one "combined" Event; an object that never stops is limited to one per five minutes
and type.
"""

from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

CACHE_SIZE: Final = 4096
SIMILAR_MAX: Final = 10
"""The tenth message of a kind is the first that is combined."""
SIMILAR_WINDOW_S: Final = 600.0
SPAM_BURST: Final = 25
SPAM_QPS: Final = 1 / 300
COMBINED_PREFIX: Final = "(combined from similar events): "


class ObjectRef(msgspec.Struct, frozen=True, kw_only=True):
    """The object that an Event is about; `field_path` is `spec.containers{c}` for a container."""

    kind: str
    name: str
    uid: str
    namespace: str = ""
    api_version: str = "v1"
    resource_version: str = ""
    field_path: str = ""


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, once."""

    ref: ObjectRef
    component: str
    host: str
    type: str
    reason: str
    message: str
    at: datetime


class EventWrite(msgspec.Struct, frozen=True, kw_only=True):
    """The Event as it shall be in the API; `is_new` says whether to create or to patch it."""

    key: tuple[object, ...]
    name: str
    namespace: str
    count: int
    first_at: datetime
    occurrence: Occurrence
    is_new: bool

    def creation(self) -> bytes:
        """The whole core/v1 Event."""
        what = self.occurrence
        return msgspec.json.encode(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": self.name, "namespace": self.namespace},
                "involvedObject": _involved(what.ref),
                "type": what.type,
                "reason": what.reason,
                "message": what.message,
                "source": {"component": what.component, "host": what.host},
                "reportingComponent": what.component,
                "reportingInstance": what.host,
                "firstTimestamp": _time(self.first_at),
                "lastTimestamp": _time(what.at),
                "count": self.count,
            }
        )

    def recount(self) -> bytes:
        """The strategic merge for an Event that is there."""
        return msgspec.json.encode(
            {
                "count": self.count,
                "lastTimestamp": _time(self.occurrence.at),
                "message": self.occurrence.message,
            }
        )


class TokenBucket:
    """A budget of `qps` with bursts. Starts full."""

    def __init__(self, qps: float, burst: int, now: float) -> None:
        self._qps = qps
        self._burst = burst
        self._tokens = float(burst)
        self._at = now

    def take(self, now: float) -> bool:
        """Take one if there is one."""
        self._fill(now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def reserve(self, now: float) -> float:
        """Take one, on credit if need be, and give the seconds to wait before using it."""
        self._fill(now)
        self._tokens -= 1
        return max(0.0, -self._tokens / self._qps)

    def _fill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._qps)
        self._at = now


class _Similar(msgspec.Struct):
    messages: set[str]
    last_at: float


class _Seen(msgspec.Struct):
    name: str
    count: int
    first_at: datetime


class _Cache[K, V](OrderedDict[K, V]):
    """Keeps what was used last."""

    def use(self, key: K, value: V) -> V:
        kept = self.setdefault(key, value)
        self.move_to_end(key)
        while len(self) > CACHE_SIZE:
            self.popitem(last=False)
        return kept


class Correlator:
    """Remembers the last Events; `now` is monotonic."""

    def __init__(self) -> None:
        self._similar: _Cache[tuple[object, ...], _Similar] = _Cache()
        self._seen: _Cache[tuple[object, ...], _Seen] = _Cache()
        self._budgets: _Cache[tuple[object, ...], TokenBucket] = _Cache()
        self._last_stamp = 0

    def correlate(self, what: Occurrence, now: float) -> EventWrite | None:
        """What to write for this occurrence; None if its object has used up its budget.

        It counts all the same: the next one that is written tells of all before it.
        """
        what, key = self._combined(what, now)
        is_new = key not in self._seen
        seen = self._seen.use(key, _Seen(self._name(what), 0, what.at))
        seen.count += 1
        source = (*_object(what), what.type)
        if not self._budgets.use(source, TokenBucket(SPAM_QPS, SPAM_BURST, now)).take(now):
            return None
        return EventWrite(
            key=key,
            name=seen.name,
            namespace=what.ref.namespace or "default",
            count=seen.count,
            first_at=seen.first_at,
            occurrence=what,
            is_new=is_new,
        )

    def forget(self, write: EventWrite) -> None:
        """The write did not succeed, so the next one like it has to create the Event."""
        self._seen.pop(write.key, None)

    def _combined(self, what: Occurrence, now: float) -> tuple[Occurrence, tuple[object, ...]]:
        """The occurrence and its key, without the message once too many messages came.

        Which container of a pod it is about makes it another Event, but not another kind of Event.
        """
        alike = (*_object(what), what.type, what.reason)
        similar = self._similar.use(alike, _Similar(set(), now))
        if now - similar.last_at > SIMILAR_WINDOW_S:
            similar.messages.clear()
        similar.last_at = now
        if len(similar.messages) < SIMILAR_MAX - 1:
            similar.messages.add(what.message)
        if what.message in similar.messages:
            return what, (*alike, what.ref.field_path, what.message)
        combined = COMBINED_PREFIX + what.message
        return msgspec.structs.replace(what, message=combined), alike

    def _name(self, what: Occurrence) -> str:
        """`{object}.{nanoseconds in hex}`, and never the same twice."""
        stamp = int(what.at.timestamp() * 1_000_000) * 1000
        self._last_stamp = max(stamp, self._last_stamp + 1)
        return f"{what.ref.name}.{self._last_stamp:x}"


def _object(what: Occurrence) -> tuple[str, ...]:
    """Who speaks, of what; the version changes with every status, and is left out."""
    ref = what.ref
    return (what.component, what.host, ref.kind, ref.namespace, ref.name, ref.uid, ref.api_version)


def _involved(ref: ObjectRef) -> dict[str, Any]:
    fields = {
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "uid": ref.uid,
        "apiVersion": ref.api_version,
        "resourceVersion": ref.resource_version,
        "fieldPath": ref.field_path,
    }
    return {name: value for name, value in fields.items() if value}


def _time(at: datetime) -> str:
    """metav1.Time: whole seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
