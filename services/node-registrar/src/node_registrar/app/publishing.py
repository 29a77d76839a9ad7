"""Tells the other services who holds which node: at once when it is news, and when asked again."""

from kubekit.leadership import Leadership
from node_registrar.app.member import Member
from node_registrar.bus import Voice


class Publisher:
    """Publishes `NodeGranted`, once per news."""

    def __init__(self, voice: Voice, leadership: Leadership) -> None:
        self._voice = voice
        self._leadership = leadership

    async def publish(self, member: Member, *, again: bool = False) -> None:
        """Say who holds this node, if that is news or is to be said again."""
        event = member.granted_event()
        if event == member.published and not again:
            return
        member.published = event
        if event is not None and self._leadership.is_leading:
            await self._voice.granted(event)
