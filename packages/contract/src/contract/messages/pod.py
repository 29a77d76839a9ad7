"""What a node should run: plans, and the commands that carry them."""

from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from contract.ids import ContainerName, PodUid
from contract.messages.form import Command, Done, Incarnation, Message, Term
from contract.messages.health import Hook, Probe
from contract.messages.naming import Naming
from contract.messages.pull import PullKey, PullPolicy
from contract.messages.report import ContainerReport
from contract.messages.volume import Mount, VolumePlan


class RestartPolicy(StrEnum):
    """`spec.restartPolicy`."""

    ALWAYS = "Always"
    ON_FAILURE = "OnFailure"
    NEVER = "Never"


class RuleAction(StrEnum):
    """`restartPolicyRules[].action`."""

    RESTART = "Restart"
    RESTART_ALL = "RestartAllContainers"


class RestartRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of a container's `restartPolicyRules`; the first that matches an exit code decides."""

    action: RuleAction = RuleAction.RESTART
    exit_codes: tuple[int, ...] = ()
    negated: bool = False
    """The operator is `NotIn`."""

    def matches(self, exit_code: int) -> bool:
        return (exit_code in self.exit_codes) is not self.negated


class ContainerRole(StrEnum):
    """What a container is in its pod."""

    INIT = "init"
    """Runs to its end before the next one begins."""
    SIDECAR = "sidecar"
    """An init container that restarts always: begins in its turn, ends after the app containers."""
    APP = "app"
    EPHEMERAL = "ephemeral"
    """Added to a running pod; never restarted, and of no account for the pod's phase."""


class MessagePolicy(StrEnum):
    """`terminationMessagePolicy`."""

    FILE = "File"
    FALLBACK_TO_LOGS = "FallbackToLogsOnError"


class Drain(StrEnum):
    """How a guest learns that it should end, set by the annotation `wasmlet.dev/drain`."""

    NONE = "none"
    """SIGTERM has its plain effect: the process ends at once with 143."""
    STDIN_EOF = "stdin-eof"
    """Its stdin is closed, and it has the rest of the grace period."""
    FILE = "file"
    """A file `drain` appears beside its termination message, and it has the same time."""


class FileVariable(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A variable whose value is in a file of a volume (`fileKeyRef`): read as its container starts.

    `before` is what the name stands for where the key is not there and need not be.
    """

    name: str
    volume: str
    path: str
    key: str
    optional: bool = False
    before: str | None = None


def file_variable_mark(number: int) -> str:
    """Return what stands for the value of a container's file variable of this number."""
    return f"\0{number}\0"


class ContainerPlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One container, resolved: no reference to an API object is left in it.

    `command` replaces the image's entrypoint and drops its arguments, `args` replace those; where
    neither says anything, argv[0] is the module's name. `env` is in order; a later name wins, and
    each of them over the image's.
    """

    name: ContainerName
    image: str
    pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    """Empty: the image's."""
    env: tuple[tuple[str, str], ...] = ()
    file_variables: tuple[FileVariable, ...] = ()
    """Their values belong where their marks are: in `env`, `command`, `args` and `mounts`."""
    memory_limit_bytes: int | None = None
    cpu_limit_millis: int | None = None
    ports: tuple[int, ...] = ()
    """Its TCP ports: what an HTTP handler is served on."""
    routes: tuple["CgiRoute", ...] = ()
    """Of a CGI handler, set by `wasmlet.dev/wagi-modules`; none: every path is its own."""
    allowed_hosts: tuple[str, ...] = ()
    """Where this container may make requests, beyond what the pod's `HttpRules` allow."""
    stdin: bool = False
    stdin_once: bool = False
    """Who attaches first and leaves ends its stdin."""
    tty: bool = False
    """Who attaches sees a terminal."""
    role: ContainerRole = ContainerRole.APP
    restart_policy: RestartPolicy | None = None
    """The container's own; without it the pod's counts."""
    restart_rules: tuple[RestartRule, ...] = ()
    startup: Probe | None = None
    readiness: Probe | None = None
    liveness: Probe | None = None
    post_start: Hook | None = None
    pre_stop: Hook | None = None
    message_path: str = "/dev/termination-log"
    message_policy: MessagePolicy = MessagePolicy.FILE
    mounts: tuple[Mount, ...] = ()
    config_error: str = ""
    """What the container lacks (`CreateContainerConfigError`); it waits for a plan without it."""

    def __repr__(self) -> str:
        # Arguments and environment hold secrets, and a repr ends in logs.
        return f"ContainerPlan(name={self.name!r}, image={self.image!r}, ...)"


class CgiRoute(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which requests a module is run for (`wagi`), and how."""

    route: str
    """A path, or with `/...` at its end all that is below it, too."""
    entrypoint: str = "_start"
    argv: str = ""
    """A command line in which `${SCRIPT_NAME}` and `${ARGS}` are put in; empty: CGI's own."""


class HttpRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a pod's HTTP handlers are run, set by annotations `wasmlet.dev/http-...`.

    Where one is None the node's own rule holds.
    """

    reuse: int | None = None
    """Requests that one instance handles, one after another."""
    concurrency: int | None = None
    """Requests under way at once in a container; more are answered with 503."""
    timeout_s: float | None = None
    max_body_bytes: int | None = None
    """Of one request; a larger one is answered with 413."""
    access_log: bool = False
    allowed_hosts: tuple[str, ...] = ()
    """Where handlers' own requests may go, set by `wasmlet.dev/allowed-hosts`."""


class Deletion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The API shows the pod's deletion. `grace_s` may only shrink later."""

    requested_at: datetime
    grace_s: float


class PodPlan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that an executor needs to run one pod, and nothing else."""

    uid: PodUid
    namespace: str
    name: str
    generation: int = 0
    restart_policy: RestartPolicy = RestartPolicy.ALWAYS
    termination_grace_s: float = 30.0
    runtime_handler: str = ""
    pod_ip: str = ""
    """Where the pod's ports are; probes and hooks without a host go there."""
    drain: Drain = Drain.NONE
    toolbox: str = ""
    """The image whose programs its containers have for exec, set by the annotation
    `wasmlet.dev/toolbox`; empty means the node's."""
    http: HttpRules | None = None
    """None where no annotation says anything."""
    active_deadline_s: float | None = None
    containers: tuple[ContainerPlan, ...]
    """Init containers in their order first, then app containers, then ephemeral ones."""
    volumes: tuple[VolumePlan, ...] = ()
    pull_keys: tuple[PullKey, ...] = ()
    """The credentials of its `imagePullSecrets`, in the order in which they are tried."""
    pull_problem: str = ""
    """Why its pull secrets cannot be read: then it gets no image that has to be pulled."""
    naming: Naming | None = None
    """None where an older reconciler planned: then nothing is shown in `/etc`."""
    deletion: Deletion | None = None


class PodAck(Message, frozen=True, kw_only=True, omit_defaults=True, tag="pod_ack"):
    """The executor has this plan now, or had it already."""

    uid: PodUid
    plan_digest: str
    changed: bool


OLDER_PLAN: Final = "an older plan of this pod"
"""What a refusal with 409 says where the revision alone is too low."""


class PodApply(Command[PodAck], frozen=True, kw_only=True, omit_defaults=True, tag="pod_apply"):
    """Run this plan. Ordered by (term, revision), compared by digest.

    Applying one twice is the same as once; a lower term or revision is refused with 409. A plan too
    large for one message is left out (`plan` is None) and read as the blob named by its digest.
    `last_status` and `started_at` are what the API server last held, for an executor that lost its
    disk. It holds secrets: printed, it is its pod's UID.
    """

    uid: PodUid
    incarnation: Incarnation
    term: Term
    revision: int
    plan_digest: str
    plan: PodPlan | None = None
    last_status: tuple[ContainerReport, ...] = ()
    started_at: datetime | None = None
    """`status.startTime`, from which `active_deadline_s` counts."""
    contents: tuple[bytes, ...] = ()
    """What files of its volumes hold that no other pod has, such as its token: it need not be asked
    for. The rest is read as blobs, as these are where they are too large."""

    def __repr__(self) -> str:
        return f"PodApply({self.uid!r})"

    def subject_id(self) -> str:
        return self.uid


class PodForget(Command[Done], frozen=True, kw_only=True, omit_defaults=True, tag="pod_forget"):
    """The API object is gone, shown by a deletion event or a GET: stop what still runs, forget it.

    Sent again until the pod is missing from the executor's inventory.
    """

    uid: PodUid
    incarnation: Incarnation
    term: Term
    grace_s: float = 2.0

    def subject_id(self) -> str:
        return self.uid


class PodsListed(Message, frozen=True, kw_only=True, omit_defaults=True, tag="pods_listed"):
    """One page of pods as the API server wrote them. `after` is empty on the last page.

    A pod that is larger than a page comes alone, in parts: `part` holds the bytes from the asked
    offset on, `offset` where the next part begins, 0 after the last one.
    """

    pods: tuple[msgspec.Raw, ...] = ()
    after: str = ""
    part: bytes = b""
    offset: int = 0
    version: str = ""


class PodsList(Command[PodsListed], frozen=True, kw_only=True, omit_defaults=True, tag="pods_list"):
    """The log-server asks the reconciler for a node's pods (`/pods`), unresolved, page by page.

    With an `offset` it asks for the next part of the pod behind `after`, in the `version` that the
    part before named; 409 where the pod has changed meanwhile.
    """

    after: str = ""
    offset: int = 0
    version: str = ""
