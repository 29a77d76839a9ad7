"""Which plan counts: ordered by (term, revision), compared by digest.

A plan may arrive twice, late, or from a leader that is none any more. Applying one twice is the
same as once, an older one is refused, an equal one changes nothing.
"""

from enum import StrEnum

import msgspec

from contract.ids import ContainerName
from contract.messages.form import Term
from contract.messages.pod import ContainerRole, PodPlan


class Rank(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Where a plan stands among all plans of its pod."""

    term: Term
    revision: int


class Standing(StrEnum):
    """What to do with a plan that has arrived."""

    NEW = "new"
    SAME = "same"
    """The content in force, said again: remember the rank, change nothing."""
    REPEATED = "repeated"
    """The very plan in force: acknowledge."""
    OUTDATED = "outdated"


def standing(known: Rank | None, known_digest: str, arrived: Rank, arrived_digest: str) -> Standing:
    """Compare an arrived plan with the one in force."""
    if known is None:
        return Standing.NEW
    same = known_digest == arrived_digest
    if arrived > known:
        return Standing.SAME if same else Standing.NEW
    return Standing.REPEATED if same else Standing.OUTDATED


def has_same_containers(known: PodPlan, arrived: PodPlan) -> bool:
    """Say whether the containers are the same but for ephemeral ones, which may come at any place.

    A client that names the new one alone finds it before those that there were.
    """
    return _lasting(known) == _lasting(arrived)


def completed(known: PodPlan, arrived: PodPlan) -> PodPlan:
    """Return a plan with what its pod has, though a reconciler that cannot plan it leaves that out.

    What has begun does not go with a plan. What was made for the pod goes at its end, if it is
    known until then.
    """
    return _with_volumes_of(known, _with_ephemeral_of(known, arrived))


def _with_ephemeral_of(known: PodPlan, arrived: PodPlan) -> PodPlan:
    names = {each.name for each in arrived.containers}
    lacking = [each for each in known.containers if each.name not in names]
    if not lacking:
        return arrived
    return msgspec.structs.replace(arrived, containers=(*arrived.containers, *lacking))


def _with_volumes_of(known: PodPlan, arrived: PodPlan) -> PodPlan:
    """A plan that ends a pod may name it alone: neither volumes nor mounts ever change to none."""
    if arrived.deletion is None:
        return arrived
    mounts = {each.name: each.mounts for each in known.containers}
    return msgspec.structs.replace(
        arrived,
        volumes=arrived.volumes or known.volumes,
        containers=tuple(
            msgspec.structs.replace(each, mounts=each.mounts or mounts.get(each.name, ()))
            for each in arrived.containers
        ),
    )


def _lasting(plan: PodPlan) -> list[tuple[ContainerName, ContainerRole]]:
    return [
        (each.name, each.role)
        for each in plan.containers
        if each.role is not ContainerRole.EPHEMERAL
    ]
