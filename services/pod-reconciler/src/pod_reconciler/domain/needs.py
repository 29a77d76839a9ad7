"""Which objects a pod names: those are read for it, and no others."""

from collections.abc import Iterator
from typing import Final

import msgspec

from pod_reconciler.domain.container import Container
from pod_reconciler.domain.material import Kind, ObjectKey, TokenKey
from pod_reconciler.domain.pod import Pod
from pod_reconciler.domain.volume import Volume


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be read, or asked for, before a pod can be planned."""

    objects: frozenset[ObjectKey] = frozenset()
    tokens: frozenset[TokenKey] = frozenset()
    claims: frozenset[str] = frozenset()


NOTHING: Final = Needs()


def needs_of(pod: Pod) -> Needs:
    """What the pod's plan is made of. A volume that nobody mounts needs nothing."""
    mounted = pod.spec.mounted_volumes()
    volumes = [volume for volume in pod.spec.volumes if volume.name in mounted]
    named = [
        *(key for placed in pod.spec.placed() for key in _of_variables(placed.container)),
        *(key for volume in volumes for key in _of_volume(volume)),
        *(ObjectKey(Kind.SECRET, each.name) for each in pod.spec.image_pull_secrets),
    ]
    return Needs(
        objects=frozenset(key for key in named if key.name),
        tokens=frozenset(key for volume in volumes for key in _tokens_of(volume)),
        claims=frozenset(
            volume.persistent_volume_claim.claim_name
            for volume in volumes
            if volume.persistent_volume_claim is not None
        ),
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


def _of_volume(volume: Volume) -> Iterator[ObjectKey]:
    for source in volume.projections():
        if source.config_map is not None:
            yield ObjectKey(Kind.CONFIG_MAP, source.config_map.name)
        if source.secret is not None:
            yield ObjectKey(Kind.SECRET, source.secret.name)


def _tokens_of(volume: Volume) -> Iterator[TokenKey]:
    for source in volume.projections():
        token = source.service_account_token
        if token is not None:
            yield TokenKey(token.audience, token.expiration_seconds)
