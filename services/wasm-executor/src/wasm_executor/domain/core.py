"""What a container is made of: its plan, its phase, its past, its wait, its health."""

from contract.messages.pod import ContainerPlan
from wasm_executor.domain.checks import HookKind
from wasm_executor.domain.effects import RunHook
from wasm_executor.domain.frame import Frame
from wasm_executor.domain.health import Health
from wasm_executor.domain.history import History
from wasm_executor.domain.moments import Moment
from wasm_executor.domain.pause import Pause, first_waiting
from wasm_executor.domain.states import Event, Phase, advance


class Core:
    """Shared by those who bring a container up and those who bring it to its end."""

    def __init__(self, frame: Frame, plan: ContainerPlan) -> None:
        self.frame = frame
        self.plan = plan
        self.phase = Phase.PENDING
        self.history = History(frame.plan.uid, plan.name)
        self.pause = Pause(first_waiting(frame.plan))
        self.health = Health()
        self.over = False
        """It has ended, and no later life of the executor begins it again."""
        self.due = False
        """It is to run once more, whatever the policy says of its latest end."""
        self.begun = False
        """Its turn has come, in the pod's present round."""
        self.tried = False
        """Its first attempt is over: the next container's turn has come."""

    def move(self, event: Event) -> None:
        """Go where this event leads; whatever was waited for is not waited for any more."""
        self.phase = advance(self.phase, event)
        self.over = self.phase is Phase.ENDED and not self.frame.goes_on
        self.pause.wake_at = None

    def appear(self, now: Moment) -> None:
        """Show that the latest run is there, and have it probed: it has started, hook and all."""
        if not self.history.is_shown:
            self.pause.clear()
            self.history.show_run()
            self.health.watch(self.plan, now)

    def want_hook(self, kind: HookKind) -> None:
        """Have the hook run that the plan has."""
        hook = self.plan.post_start if kind is HookKind.POST_START else self.plan.pre_stop
        assert hook is not None
        run = self.history.run
        self.frame.want(RunHook(container=self.plan.name, run=run, kind=kind, hook=hook))
