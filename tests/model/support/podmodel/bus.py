"""The bus as a list: what is on it may be lost, doubled, delayed or overtaken."""

import msgspec

from contract.errors import CommandError
from contract.messages.form import Command, Event, Message


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request, and who waits for its answer: a leader, by its number."""

    leader: int
    number: int
    command: Command[Message]


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, or a refusal."""

    leader: int
    number: int
    reply: Message | CommandError


type Parcel = Asked | Answered | Event


class Bus:
    """Prompt, every step ends with all that is on it delivered in order; else the test picks."""

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []
        self.prompt = True

    def post(self, parcel: Parcel) -> None:
        self.parcels.append(parcel)

    def take(self, place: int) -> Parcel | None:
        return self.parcels.pop(place % len(self.parcels)) if self.parcels else None

    def double(self, place: int) -> None:
        if self.parcels:
            self.parcels.append(self.parcels[place % len(self.parcels)])
