"""Views of the variables of a container: where each of them gets its value from."""

from pod_reconciler.domain.view import View


class FieldRef(View, frozen=True, kw_only=True, rename="camel"):
    """`fieldRef` of a variable or of a downward API file."""

    field_path: str


class ResourceFieldRef(View, frozen=True, kw_only=True, rename="camel"):
    """`resourceFieldRef`. A divisor of 0 stands for 1, as the API server writes it."""

    resource: str
    container_name: str = ""
    divisor: str | int | float = "0"


class KeyRef(View, frozen=True, kw_only=True, rename="camel"):
    """`configMapKeyRef` or `secretKeyRef`."""

    key: str
    name: str = ""
    optional: bool = False


class FileKeyRef(View, frozen=True, kw_only=True, rename="camel"):
    """`fileKeyRef`: a variable of a file of variables."""

    volume_name: str
    path: str
    key: str
    optional: bool = False


class ObjectRef(View, frozen=True, kw_only=True, rename="camel"):
    """`configMapRef` or `secretRef`."""

    name: str = ""
    optional: bool = False


class ValueSource(View, frozen=True, kw_only=True, rename="camel"):
    """`env[].valueFrom`: one of these."""

    field_ref: FieldRef | None = None
    resource_field_ref: ResourceFieldRef | None = None
    config_map_key_ref: KeyRef | None = None
    secret_key_ref: KeyRef | None = None
    file_key_ref: FileKeyRef | None = None


class EnvVar(View, frozen=True, kw_only=True, rename="camel"):
    """`env[]`."""

    name: str
    value: str = ""
    value_from: ValueSource | None = None


class EnvFromSource(View, frozen=True, kw_only=True, rename="camel"):
    """`envFrom[]`: one of the two."""

    prefix: str = ""
    config_map_ref: ObjectRef | None = None
    secret_ref: ObjectRef | None = None
