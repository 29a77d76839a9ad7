"""Which objects a pod names: those are read for it, and no others."""

from collections.abc import Iterator

from pod_reconciler.domain.container import Container
from pod_reconciler.domain.material import Kind, ObjectKey
from pod_reconciler.domain.pod import Pod


def needs_of(pod: Pod) -> frozenset[ObjectKey]:
    """The ConfigMaps and Secrets that the pod's plan is made of."""
    return frozenset(
        key for placed in pod.spec.placed() for key in _of_variables(placed.container) if key.name
    )


def _of_variables(container: Container) -> Iterator[ObjectKey]:
    for variables in container.env_from:
        if variables.config_map_ref is not None:
            yield ObjectKey(Kind.CONFIG_MAP, variables.config_map_ref.name)
        if variables.secret_ref is not None:
            yield ObjectKey(Kind.SECRET, variables.secret_ref.name)
    for variable in container.env:
        source = variable.value_from
        if source is None or variable.value:
            continue
        if source.config_map_key_ref is not None:
            yield ObjectKey(Kind.CONFIG_MAP, source.config_map_key_ref.name)
        if source.secret_key_ref is not None:
            yield ObjectKey(Kind.SECRET, source.secret_key_ref.name)
