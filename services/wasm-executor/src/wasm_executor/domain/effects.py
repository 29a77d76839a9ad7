"""What a pod wants done. Its task does it and answers with inputs."""

import msgspec

from contract.ids import ContainerName
from contract.messages.health import Hook, Probe
from contract.messages.pull import PullPolicy
from contract.messages.report import Occurrence
from wasm_executor.domain.checks import HookKind, ProbeKind


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what a pod asks for."""


class PrepareVolumes(Effect, frozen=True, kw_only=True):
    """Bring the pod's volumes to what its plan says; answered by `VolumesPrepared` or `..Failed`.

    An older attempt's answer counts for nothing. A renewal changes contents alone: what has lost
    its source stays as it is.
    """

    attempt: int
    renewal: bool = False


class DropVolumes(Effect, frozen=True, kw_only=True):
    """Remove all of the pod's volumes: nothing of it runs or will. There is no answer."""


class PrepareImage(Effect, frozen=True, kw_only=True):
    """Make the image ready to run; answered by `ImagePrepared` or `PreparationFailed`."""

    container: ContainerName
    attempt: int
    image: str
    policy: PullPolicy


class AbandonImage(Effect, frozen=True, kw_only=True):
    """Nobody waits for this container's image any more."""

    container: ContainerName


class StartRun(Effect, frozen=True, kw_only=True):
    """Spawn the prepared image; answered by `RunStarted`, `RunRefused` or `PreparationFailed`."""

    container: ContainerName
    attempt: int
    run: int


class AbandonStart(Effect, frozen=True, kw_only=True):
    """Nobody wants the run that is being started: kill its process, have no other for it."""

    container: ContainerName


class SignalRun(Effect, frozen=True, kw_only=True):
    container: ContainerName
    run: int
    signum: int


class CloseStdin(Effect, frozen=True, kw_only=True):
    container: ContainerName
    run: int


class RunProbe(Effect, frozen=True, kw_only=True):
    """Ask the container how it is; answered by `ProbeFinished`."""

    container: ContainerName
    run: int
    kind: ProbeKind
    probe: Probe


class RunHook(Effect, frozen=True, kw_only=True):
    """Run a hook of the container; answered by `HookFinished`."""

    container: ContainerName
    run: int
    kind: HookKind
    hook: Hook


class AbandonHook(Effect, frozen=True, kw_only=True):
    """Nobody waits any more for this container's hook."""

    container: ContainerName


class PlaceDrainFile(Effect, frozen=True, kw_only=True):
    """Let the file appear that tells the guest to end; where it cannot, send SIGTERM."""

    container: ContainerName
    run: int


class ForgetRun(Effect, frozen=True, kw_only=True):
    """The end of this run is accounted for: the keeper need not keep it.

    Nobody waits any more for its probes and hooks, and what was run beside it ends.
    """

    container: ContainerName
    run: int
    again: bool = False
    """It was accounted for before: what is asked of the container now is asked of another run."""


class AbandonRun(Effect, frozen=True, kw_only=True):
    """Do without this run's end: a full disk holds back its last lines, which nobody wants."""

    container: ContainerName
    run: int


class Happened(Effect, frozen=True, kw_only=True):
    occurrence: Occurrence
