"""In which order the containers of a pod begin and end: the kubelet's, as pure functions.

Init containers begin one after the other: each when the one before has succeeded, or, where that
is a sidecar, has started. What has let the next one begin holds back nobody any more: a sidecar
that is down is started again beside the others. App containers follow, each when the one before has
had its first attempt. Ephemeral ones begin when they are added. At the end sidecars wait for all
app containers, and for the sidecars behind them.
"""

from collections.abc import Iterator, Sequence

from contract.messages.pod import ContainerRole
from wasm_executor.domain.container import Container
from wasm_executor.domain.pause import INIT_ROLES
from wasm_executor.domain.states import UNDERWAY, Phase


def may_begin(containers: Sequence[Container]) -> Iterator[Container]:
    """Return those whose turn to begin has come; ask again when one of them is tried."""
    for each in containers:
        if each.plan.role is ContainerRole.EPHEMERAL and each.phase is Phase.PENDING:
            yield each
    lasting = [each for each in containers if each.plan.role is not ContainerRole.EPHEMERAL]
    for place, each in enumerate(lasting, start=1):
        if each.phase is Phase.PENDING:
            yield each
        if not (_lets_next_begin(each) or any(later.begun for later in lasting[place:])):
            return


def _lets_next_begin(container: Container) -> bool:
    match container.plan.role:
        case ContainerRole.INIT:
            return container.succeeded
        case ContainerRole.SIDECAR:
            return container.health.started and container.tried
        case _:
            return container.tried


def may_end(container: Container, containers: Sequence[Container]) -> bool:
    """Say whether its turn to end has come, in a pod that ends."""
    if container.plan.role is not ContainerRole.SIDECAR:
        return True
    place = containers.index(container)
    return not any(
        each.phase in UNDERWAY
        for number, each in enumerate(containers)
        if each.plan.role is ContainerRole.APP
        or (each.plan.role is ContainerRole.SIDECAR and number > place)
    )


def is_finished(containers: Sequence[Container]) -> bool:
    """Say whether the pod is over by itself: all apps have ended for good, or an init has failed.

    Of an init container that failed, nothing starts another run.
    """
    apps = [each for each in containers if each.plan.role is ContainerRole.APP]
    if all(each.phase is Phase.ENDED for each in apps):
        return True
    return any(
        each.phase is Phase.ENDED and not each.succeeded
        for each in containers
        if each.plan.role in INIT_ROLES
    )
