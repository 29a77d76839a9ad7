"""Views of a pod's volumes, of what they are made of, and of their mounts in a container."""

import msgspec

from contract.messages.pull import PullPolicy
from contract.messages.volume import DEFAULT_MODE
from pod_reconciler.domain.variable import FieldRef, ResourceFieldRef
from pod_reconciler.domain.view import View

DEFAULT_TOKEN_S = 3600


class KeyToPath(View, frozen=True, kw_only=True, rename="camel"):
    """`items[]` of a ConfigMap or Secret."""

    key: str
    path: str
    mode: int | None = None


class KeyedSource(View, frozen=True, kw_only=True, rename="camel"):
    """`configMap`, and `configMap` and `secret` of a projected volume."""

    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    default_mode: int = DEFAULT_MODE
    optional: bool = False


class SecretSource(View, frozen=True, kw_only=True, rename="camel"):
    """`secret`."""

    secret_name: str = ""
    items: tuple[KeyToPath, ...] = ()
    default_mode: int = DEFAULT_MODE
    optional: bool = False


class DownwardFile(View, frozen=True, kw_only=True, rename="camel"):
    """`downwardAPI.items[]`."""

    path: str
    field_ref: FieldRef | None = None
    resource_field_ref: ResourceFieldRef | None = None
    mode: int | None = None


class DownwardSource(View, frozen=True, kw_only=True, rename="camel"):
    """`downwardAPI`."""

    items: tuple[DownwardFile, ...] = ()
    default_mode: int = DEFAULT_MODE


class TokenSource(View, frozen=True, kw_only=True, rename="camel"):
    """`serviceAccountToken` of a projected volume."""

    path: str
    audience: str = ""
    expiration_seconds: int = DEFAULT_TOKEN_S


class Projection(View, frozen=True, kw_only=True, rename="camel"):
    """`projected.sources[]`: one of these."""

    config_map: KeyedSource | None = None
    secret: KeyedSource | None = None
    downward_api: DownwardSource | None = msgspec.field(default=None, name="downwardAPI")
    service_account_token: TokenSource | None = None


class ProjectedSource(View, frozen=True, kw_only=True, rename="camel"):
    """`projected`."""

    sources: tuple[Projection, ...] = ()
    default_mode: int = DEFAULT_MODE


class EmptyDirSource(View, frozen=True, kw_only=True, rename="camel"):
    """`emptyDir`."""

    medium: str = ""
    size_limit: str | int | float | None = None


class HostPathSource(View, frozen=True, kw_only=True, rename="camel"):
    """`hostPath`."""

    path: str
    type: str = ""


class ImageSource(View, frozen=True, kw_only=True, rename="camel"):
    """`image`."""

    reference: str = ""
    pull_policy: PullPolicy | None = None


class ClaimSource(View, frozen=True, kw_only=True, rename="camel"):
    """`persistentVolumeClaim`."""

    claim_name: str
    read_only: bool = False


class Volume(View, frozen=True, kw_only=True, rename="camel"):
    """`spec.volumes[]`: one of these; none of them means an `emptyDir`."""

    name: str
    config_map: KeyedSource | None = None
    secret: SecretSource | None = None
    downward_api: DownwardSource | None = msgspec.field(default=None, name="downwardAPI")
    projected: ProjectedSource | None = None
    empty_dir: EmptyDirSource | None = None
    host_path: HostPathSource | None = None
    image: ImageSource | None = None
    persistent_volume_claim: ClaimSource | None = None

    def projections(self) -> tuple[Projection, ...]:
        """What its files are made of: the plain kinds are projected volumes of one source."""
        if self.projected is not None:
            return self.projected.sources
        keyed = None
        if self.secret is not None:
            keyed = KeyedSource(
                name=self.secret.secret_name,
                items=self.secret.items,
                optional=self.secret.optional,
            )
        if self.config_map is None and keyed is None and self.downward_api is None:
            return ()
        one = Projection(config_map=self.config_map, secret=keyed, downward_api=self.downward_api)
        return (one,)

    @property
    def default_mode(self) -> int | None:
        """The mode of its files; None of a volume that has none of ours."""
        sources = (self.projected, self.config_map, self.secret, self.downward_api)
        return next((each.default_mode for each in sources if each is not None), None)


class VolumeMount(View, frozen=True, kw_only=True, rename="camel"):
    """`volumeMounts[]`."""

    name: str
    mount_path: str = ""
    sub_path: str = ""
    sub_path_expr: str = ""
    read_only: bool = False
