"""The nodes that are known, each as one member for as long as it lasts."""

from contract.ids import NodeName
from node_registrar.app.member import Member
from node_registrar.app.metrics import NODES


class Roster:
    """Members by name. One that was dropped is not the one that comes after it."""

    def __init__(self, fresh_s: float) -> None:
        self._fresh_s = fresh_s
        self._members: dict[NodeName, Member] = {}

    def find(self, name: NodeName) -> Member | None:
        """Return who is known by this name."""
        return self._members.get(name)

    def of(self, name: NodeName) -> Member:
        """Return who is known by this name, a new one if nobody is."""
        member = self._members.get(name)
        if member is None:
            member = self._members[name] = Member(name, fresh_s=self._fresh_s)
            NODES.set(len(self._members))
        return member

    def has(self, member: Member) -> bool:
        """Say whether it still is the one of its name."""
        return self._members.get(member.name) is member

    def all(self) -> tuple[Member, ...]:
        """Return them as they are now."""
        return tuple(self._members.values())

    def drop(self, member: Member) -> None:
        """Know this one no longer."""
        del self._members[member.name]
        NODES.set(len(self._members))

    def clear(self) -> None:
        """Know nobody."""
        self._members.clear()
        NODES.set(0)
