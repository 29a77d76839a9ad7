"""The form that all messages share, and the numbers that put them in order.

Unknown fields are skipped and new fields have defaults, so that services of neighbouring versions
understand one another. A field is never retyped, renamed or reused.
"""

from datetime import UTC, datetime
from typing import ClassVar, Final

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """What every message is: immutable, tagged with its kind."""

    bulk_field: ClassVar[str] = ""
    """A field of bytes that travels as it is, behind the JSON."""

    def subject_id(self) -> str:
        """Return the last token of this message's subject, empty where the subject has none."""
        return ""


class Command[Reply](Message, frozen=True, kw_only=True, omit_defaults=True):
    """A request in the imperative. It always gets a `Reply` or an error."""


class Event(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened, in the past tense. Nobody answers."""


class Incarnation(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One life of one executor: its id, and how often its keeper has started."""

    executor_id: str
    start_count: int


class Term(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Which leader speaks. Compared field by field; an executor refuses a lower one."""

    created_at: datetime
    uid: str
    transitions: int


STATIC_TERM: Final = Term(created_at=datetime(1970, 1, 1, tzinfo=UTC), uid="", transitions=0)
"""The term of a reconciler that elects nobody (static mode)."""


class Done(Message, frozen=True, kw_only=True, omit_defaults=True, tag="done"):
    """The answer of a command that has nothing to tell."""
