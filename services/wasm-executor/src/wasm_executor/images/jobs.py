"""What the supervisor and its short-lived jobs say to one another: one JSON text each way.

A pull talks to untrusted registries and a compile reads untrusted code. Each is a process of its
own, so that it can be limited, killed and forgotten. Credentials travel on stdin only.
"""

from typing import Final

import msgspec

from wasm_executor.images.records import CompiledObject, ImageRecord


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """For one registry. Not shown by repr, so that no log line ever holds it."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    """Counts before the password, where the registry has tokens."""

    def __repr__(self) -> str:
        return "Credentials(***)"


class PullLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How long a pull may take, and how often it asks again."""

    connect_timeout_s: float = 10.0
    stall_timeout_s: float = 30.0
    """Longest silence, and the span in which at least `stall_bytes` of a layer must arrive."""
    stall_bytes: int = 1024
    total_timeout_s: float = 600.0
    attempts: int = 3
    retry_delay_s: float = 0.5
    retry_after_limit_s: float = 5.0
    max_layer_bytes: int = 1 << 30
    max_rootfs_bytes: int = 4 << 30
    """What the layers of one image may hold, unpacked."""
    max_rootfs_entries: int = 200_000


class PullJob(msgspec.Struct, frozen=True, kw_only=True, tag="pull"):
    """Resolve a full name, fetch what is missing, write it down."""

    reference: str
    store: str
    parent_pid: int
    ca_file: str | None = None
    insecure_registries: tuple[str, ...] = ()
    config_dir: str | None = None
    """Where mirrors and CAs of registries are named; see `registryhosts`."""
    token_hosts: tuple[str, ...] = ()
    """Where registries may have their tokens besides at themselves."""
    credentials: tuple[Credentials, ...] = ()
    """They are tried in turn; without any, the registry is asked as anybody may."""
    limits: PullLimits = PullLimits()
    mount: bool = False
    """It is to be a volume: any file will do, and nothing of it is run."""


class CompileLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a compilation may use; more than that is an attack or a mistake."""

    memory_bytes: int = 2 << 30
    cpu_s: int = 300
    total_timeout_s: float = 300.0
    nice: int = 5
    """Running containers go first."""

    def memory_problem(self) -> str:
        return f"more than {self.memory_bytes >> 20} MiB of memory needed"


class CompileJob(msgspec.Struct, frozen=True, kw_only=True, tag="compile"):
    """Compile one file whose content has this digest."""

    wasm_path: str
    digest: str
    store: str
    parent_pid: int
    limits: CompileLimits = CompileLimits()


class EngineJob(msgspec.Struct, frozen=True, kw_only=True, tag="engine"):
    """Name the engine: the supervisor does not import wasmtime to learn it."""

    parent_pid: int


Job = PullJob | CompileJob | EngineJob


class Pulled(msgspec.Struct, frozen=True, kw_only=True, tag="pulled"):
    """The image is in the store. `duration_s` is the pull's own time, without waiting."""

    image: ImageRecord
    duration_s: float
    downloaded_bytes: int
    used: int | None = None
    """With which of the job's credentials; None where there were none."""


class Compiled(msgspec.Struct, frozen=True, kw_only=True, tag="compiled"):
    """The object and its metadata are in the store."""

    compiled: CompiledObject


class EngineNamed(msgspec.Struct, frozen=True, kw_only=True, tag="engine_named"):
    """The fingerprint under which objects are kept."""

    engine: str


class JobFailed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """The job ended as planned, with bad news."""

    reason: str
    message: str
    retry: bool


JobResult = Pulled | Compiled | EngineNamed | JobFailed

JOB_DECODER: Final[msgspec.json.Decoder[Job]] = msgspec.json.Decoder(Job)
RESULT_DECODER: Final[msgspec.json.Decoder[JobResult]] = msgspec.json.Decoder(JobResult)
