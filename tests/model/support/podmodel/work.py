"""What a pod has asked for and not been answered yet: images, starts, probes, hooks."""

import msgspec

from contract.ids import ContainerName
from wasm_executor.domain.checks import HookKind, ProbeKind, Verdict
from wasm_executor.domain.effects import (
    AbandonHook,
    AbandonImage,
    AbandonStart,
    Effect,
    ForgetRun,
    PrepareImage,
    RunHook,
    RunProbe,
    StartRun,
)
from wasm_executor.domain.inputs import (
    HookFinished,
    ImagePrepared,
    Input,
    PreparationFailed,
    ProbeFinished,
)


class Start(msgspec.Struct, kw_only=True, eq=False):
    """A run on its way."""

    want: StartRun
    image: str
    abandoned: bool = False


class Work:
    """One pod's."""

    def __init__(self) -> None:
        self.images: dict[ContainerName, PrepareImage] = {}
        self.starts: dict[ContainerName, Start] = {}
        self.probes: dict[tuple[ContainerName, ProbeKind], RunProbe] = {}
        self.hooks: dict[ContainerName, RunHook] = {}
        self._found: dict[ContainerName, str] = {}

    def take(self, effect: Effect) -> None:
        """Begin what an effect asks for, or drop what it gives up."""
        match effect:
            case PrepareImage():
                assert effect.container not in self.images, "two images for one container"
                self.images[effect.container] = effect
            case AbandonImage():
                del self.images[effect.container]
            case StartRun():
                assert effect.container not in self.starts, "two starts of one container"
                image = self._found[effect.container]
                self.starts[effect.container] = Start(want=effect, image=image)
            case AbandonStart():
                if effect.container in self.starts:
                    self.starts[effect.container].abandoned = True
            case RunProbe():
                assert (effect.container, effect.kind) not in self.probes, "two probes at once"
                self.probes[effect.container, effect.kind] = effect
            case RunHook():
                assert effect.container not in self.hooks, "two hooks at once"
                self.hooks[effect.container] = effect
            case _:
                self._give_up(effect)

    def _give_up(self, effect: Effect) -> None:
        match effect:
            case AbandonHook():
                del self.hooks[effect.container]
            case ForgetRun():
                name, run = effect.container, effect.run
                self.probes = {
                    key: each
                    for key, each in self.probes.items()
                    if (key[0], each.run) != (name, run)
                }
                if name in self.hooks and self.hooks[name].run == run:
                    del self.hooks[name]

    # Answers

    def image_found(self, name: ContainerName) -> Input:
        want = self.images.pop(name)
        self._found[name] = want.image
        return ImagePrepared(container=name, attempt=want.attempt, image_id=f"id of {want.image}")

    def image_not_found(self, name: ContainerName, *, backs_off: bool) -> Input:
        want = self.images.pop(name)
        return PreparationFailed(
            container=name,
            attempt=want.attempt,
            reason="ErrImagePull" if backs_off else "ErrImageNeverPull",
            message="no such image",
            back_off_message=f'Back-off pulling image "{want.image}"' if backs_off else None,
        )

    def start_failed(self, name: ContainerName) -> Input:
        """No process came of it."""
        want = self.starts.pop(name).want
        return PreparationFailed(
            container=name,
            attempt=want.attempt,
            reason="CreateContainerError",
            message="the pod ends",
        )

    def probed(self, name: ContainerName, kind: ProbeKind, verdict: Verdict) -> Input:
        want = self.probes.pop((name, kind))
        return ProbeFinished(container=name, run=want.run, kind=kind, verdict=verdict)

    def hooked(self, name: ContainerName, failure: str | None) -> Input:
        want = self.hooks.pop(name)
        return HookFinished(container=name, run=want.run, kind=want.kind, failure=failure)

    def hook_kind(self, name: ContainerName) -> HookKind:
        return self.hooks[name].kind
