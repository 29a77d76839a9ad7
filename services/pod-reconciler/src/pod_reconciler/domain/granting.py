"""What is known by a grant, which a registrar says again and again."""

import msgspec

from contract.messages.node import NodeGranted


def grant_after(before: NodeGranted | None, grant: NodeGranted) -> NodeGranted:
    """What is known now: a registrar that has just begun may not know the holder's machine yet."""
    if grant.facts is not None or before is None or before.holder != grant.holder:
        return grant
    return msgspec.structs.replace(grant, facts=before.facts)
