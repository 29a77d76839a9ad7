"""What an operator may set about an executor, read once from `WASMLET_*` by the supervisor.

The keeper passes its whole environment on and reads a few of these itself, by the same names.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec

from servicekit.settings import PREFIX, CollectorUrl, Seconds, ServiceSettings

Count = Annotated[int, msgspec.Meta(ge=1)]
Size = Annotated[int, msgspec.Meta(ge=0)]
Percent = Annotated[int, msgspec.Meta(ge=0, le=100)]


class VerificationPolicy(StrEnum):
    """`imagePullCredentialsVerificationPolicy` of the kubelet's configuration."""

    NEVER_VERIFY = "NeverVerify"
    NEVER_VERIFY_PRELOADED = "NeverVerifyPreloadedImages"
    NEVER_VERIFY_ALLOWLISTED = "NeverVerifyAllowlistedImages"
    ALWAYS_VERIFY = "AlwaysVerify"


class PrivilegeProfile(StrEnum):
    """How much the executor may, and so how its containers are kept apart."""

    UNPRIVILEGED = "unprivileged"
    NODE = "node"


class ExecutorSettings(ServiceSettings, frozen=True, kw_only=True):
    """One executor is one node."""

    node_name: str
    data_dir: Path
    """Survives reboots: the executor's id, images, the checkpoint."""
    run_dir: Path
    """On tmpfs, because plans hold secrets: plans, records of what runs."""
    run_dir_may_be_disk: bool = False
    """Accept that secrets reach a disk. For machines without tmpfs, and then by intent."""
    health_folder: Path | None = None
    """Where `health.sock` is made; none: in the run directory. A folder of its own may be shown to
    a log-server in another container, which then sees no plans."""
    log_root: Path = Path("/var/log/wasmlet")
    log_max_bytes: Annotated[int, msgspec.Meta(ge=1024)] = 10 * 1024 * 1024
    log_max_files: Annotated[int, msgspec.Meta(ge=2)] = 5
    keeper_pipe_bytes: int | None = None
    """The keeper's: size of each output pipe."""

    privilege_profile: PrivilegeProfile = PrivilegeProfile.UNPRIVILEGED
    """`node` gives each container a file system of its own, in which nothing but its volumes and
    its module is there: see docs/security.md. It needs CAP_SYS_ADMIN, else the executor ends."""

    insecure_registries: tuple[str, ...] = ()
    """`host:port` of registries that are reached over plain HTTP; all others need TLS."""
    registry_ca_file: Path | None = None
    """Certificates that are trusted beside the public ones."""
    registry_config_dir: Path | None = None
    """A folder of mirrors and certificates by registry, laid out as containerd's `certs.d`; see
    docs/images.md."""
    registry_token_hosts: tuple[str, ...] = ()
    """`host:port` of token servers that registries elsewhere may name; a registry's own address is
    trusted without, and so are Docker Hub's and GitLab's."""
    image_credentials_policy: VerificationPolicy = VerificationPolicy.NEVER_VERIFY_PRELOADED
    """Which pods must show credentials for an image that is here, by the kubelet's names:
    `NeverVerify`, `NeverVerifyPreloadedImages`, `NeverVerifyAllowlistedImages`, `AlwaysVerify`."""
    image_credentials_allowlist: tuple[str, ...] = ()
    """With `NeverVerifyAllowlistedImages`: repositories, or all below a place (`HOST/PATH/*`)."""
    local_image_root: Path | None = None
    """Where the files of `file:` images may lie; without it there are no such images."""
    toolbox_image: str | None = None
    """An image whose programs every container of this node has for `kubectl exec`, probes and
    hooks; see docs/kubelet-api.md. None unless set."""
    host_path_prefixes: tuple[Path, ...] = ()
    """The folders of this machine that hostPath volumes may name, with all below them; none unless
    set."""
    resolv_conf: Path = Path("/etc/resolv.conf")
    """What this machine's resolver is told: pods that resolve names as their node does get it."""
    pulls_per_registry: Count = 5
    compile_jobs: Count = 2
    slow_compile_s: Seconds = 5.0
    """A pod that waits longer for its image to be compiled has an Event `Compiling`."""
    pull_stall_timeout_s: Seconds = 30.0
    pull_timeout_s: Seconds = 600.0

    rootfs_max_bytes: Size = 4 * 1024 * 1024 * 1024
    """What the layers of one image may hold, unpacked."""
    rootfs_max_entries: Count = 200_000
    """How many files and folders."""
    image_gc_high_percent: Percent = 85
    """From where on of the data directory's disk images that no pod uses are removed."""
    image_gc_low_percent: Percent = 80
    """Until where."""
    image_gc_min_age_s: Seconds = 120.0
    """How long an image is kept in any case."""
    image_gc_interval_s: Seconds = 300.0
    """How often the disk is looked at."""

    restart_delay_s: Seconds = 10.0
    """The crash back-off after the first immediate restart; it doubles."""
    restart_delay_max_s: Seconds = 300.0
    restart_reset_s: Seconds = 600.0
    """A run this long starts the back-off over."""
    image_delay_s: Seconds = 10.0
    image_delay_max_s: Seconds = 300.0
    error_shown_s: Seconds = 2.0
    """How long an attempt's own reason is shown before its back-off is."""
    slow_start_s: Seconds = 0.25
    """An image that takes longer to be ready is reported as ContainerCreating meanwhile."""
    slow_spawn_s: Seconds = 1.5
    """The same of a process that waits for its turn to be forked."""
    audit_interval_s: Seconds = 30.0
    """How often the pods are held against the keeper's table."""
    eviction_interval_s: Seconds = 10.0
    """How often emptyDirs are held against their `sizeLimit`."""

    beat_interval_s: Seconds = 5.0
    register_retry_s: Seconds = 2.0
    register_interval_s: Seconds = 30.0
    external_runtimes_dir: Path | None = None
    """A folder of `HANDLER.toml` files, each a runtime program of this machine that pods may ask
    for by a RuntimeClass: see docs/runtimes.md."""
    guest_sockets: bool = False
    """Whether guests may open sockets (`wasi:sockets`): to listen, and to connect to wherever this
    machine can. No policy holds them then."""
    outgoing_hosts: tuple[str, ...] = ("*:*",)
    """What pods may let their HTTP handlers ask: `HOST` (ports 80 and 443), `HOST:PORT`, `HOST:*`;
    a host is a name, an address, `*.SUFFIX` or `*`. Loopback and link-local addresses are open only
    to entries that name them. An entry that is none of these ends the start."""
    stream_lease_s: Seconds = 30.0
    """How long an exec or a forwarded connection may be missed by whoever opened it."""
    memory_check_interval_s: Seconds = 0.1
    usage_interval_s: Seconds = 5.0
    """What containers use is measured no more often than this, however many ask."""
    space_interval_s: Seconds = 60.0
    """The same of the space that logs and volumes take; a kubelet's time."""
    checkpoint_sync_s: Seconds = 1.0
    """How much of the checkpoint a power cut may cost."""
    release_timeout_s: Seconds = 2.0
    shutdown_grace_s: Seconds = 30.0
    """How long pods may take to end when the host shuts down and says so by SIGPWR."""

    traces_endpoint: CollectorUrl = ""
    """Where this executor's part of traces goes, as the reconciler's setting of this name says.
    Which starts are traced, the reconciler decides."""

    max_pods: Count = 110
    executors_on_machine: Count = 1
    """The machine's size is divided by it where no cgroup limits this executor."""
    reserved_cpu_millis: Size = 100
    reserved_memory_bytes: Size = 256 * 1024 * 1024

    def __post_init__(self) -> None:
        # Late: the keeper reads this module for the names alone.
        from podspec.hostrules import WANTED, is_host_rule

        for each in self.outgoing_hosts:
            if not is_host_rule(each):
                raise ValueError(f"{PREFIX}OUTGOING_HOSTS: {each!r} is not {WANTED}")
