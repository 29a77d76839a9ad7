"""One pod of one node: what the API shows, what the node was told, what it reported.

A record is changed by `tracking` alone and read by `duties`. It counts its changes, so that a
write knows afterwards whether it has said everything.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from contract.digests import plan_digest
from contract.ids import PodUid
from contract.messages.pod import Deletion, PodPlan
from contract.messages.report import PodReported
from pod_reconciler.domain.admission import UNKNOWN_PLACE, Refusal
from pod_reconciler.domain.lifecycle import PodEvent, PodState, advance
from pod_reconciler.domain.material import Material
from pod_reconciler.domain.pod import TERMINAL_PHASES, Json, Pod
from podspec.placement import NodeFacts

SHUTDOWN_REASONS: Final = frozenset({"Terminated", "NodeShutdown"})
"""Why a node that shuts down ends a pod, or does not take it."""
_WANTING: Final = frozenset({PodState.SEEN, PodState.ADMITTED, PodState.DELETING})


class PodRecord(msgspec.Struct, kw_only=True, eq=False):
    """See the module."""

    uid: PodUid
    namespace: str
    name: str
    state: PodState = PodState.SEEN
    first_seen_s: float = 0.0
    """On the clock that the view is given."""

    pod: Pod | None = None
    """The newest version, from the watch or from the answer to a write of ours."""
    raw: bytes = b""
    place: NodeFacts = UNKNOWN_PLACE
    """What the Node object said when this version was seen."""
    is_static: bool = False
    """Whether a folder has it: it runs whether or not the API server is there."""
    waits_for_material: bool = False
    """Whether it is planned only when what the API holds for it has been read."""
    material: Material | None = None
    in_watch: bool = False
    """Whether the watch still shows it: only when it does not, may it be dropped for good."""
    is_judged: bool = False
    """Whether it has been asked if the node takes it: a pod is asked once."""
    refusal: Refusal | None = None
    ignored: tuple[str, ...] = ()
    """What admission found that has no effect here."""
    stop: Deletion | None = None
    """Set for a pod that has ended in the API while its node still runs it."""

    plan: PodPlan | None = None
    plan_digest: str = ""
    blobs: Mapping[str, bytes] = {}
    """The contents of the plan's volumes, by digest."""
    own_contents: tuple[bytes, ...] = ()
    """Those of them that no other pod has."""
    withheld: Mapping[str, str] = {}
    """The containers that the plan leaves out, with the reason."""
    mishap: str = ""
    """The kind of error that considering it has met, until it is logged."""
    untold: Mapping[str, str] = {}
    """Those of them of which nobody has been told."""
    awaited: str = ""
    """What it cannot begin without, in the words of its Event; empty where it has begun."""
    has_untold_wait: bool = False
    """Whether nobody has been told of that."""
    lacking_secrets: tuple[str, ...] = ()
    """The image pull secrets that its plan does without."""
    has_untold_lack: bool = False
    """Whether nobody has been told of them."""
    annotations: Mapping[str, str] = {}
    """Those that the plan was made by."""
    faults: Mapping[str, str] = {}
    """What the plan was not made by, an annotation or a field, with the reason."""
    untold_faults: tuple[str, ...] = ()
    """The reasons of which nobody has been told."""
    plan_basis: object = None
    """What the plan was made of: the same again makes the same plan."""
    acked_digest: str = ""
    """The plan that the node has, as it said; empty where it has none."""
    was_sent: bool = False
    """Whether some plan may have reached the present holder, acknowledged or not."""

    report: PodReported | None = None
    outlived_shutdown: bool = False
    """Whether its node ended it to shut down, and is back: a static pod then begins again."""
    changes: int = 0
    settled: int = -1
    """The change up to which the API's status is known to be right."""
    refused: int = -1
    """The change up to which the API server has refused the status: a role may be missing."""
    refused_until_s: float = 0.0
    """Before this time the same status is not sent again."""
    attempted: Json | None = None
    """The status of a write that may have been done or not: its times are true if it was."""

    @property
    def runs_already(self) -> bool:
        """Whether somebody has taken it on before: it has its room, and is not judged again."""
        return self.was_sent or (self.pod is not None and self.pod.was_started)

    @property
    def is_planned(self) -> bool:
        """Whether its plan is all that it asks for, and not merely its end."""
        return self.plan_basis is not None

    @property
    def is_new(self) -> bool:
        """Whether it can still be refused."""
        return self.plan is None and not self.runs_already

    @property
    def turn(self) -> tuple[bool, str]:
        """When it is decided about, among many: first what runs, then the oldest, as by a kubelet.

        A kubelet sorts what it is shown at once by the times of creation.
        """
        created_at = self.pod.metadata.creation_timestamp if self.pod else None
        return not self.runs_already, created_at or ""

    @property
    def has_unwritten(self) -> bool:
        """Whether something happened that the status may have to show."""
        return self.changes != self.settled

    @property
    def is_known(self) -> bool:
        """Whether there is anything to tell of it: by its node, who turned it away, or an end."""
        return any(each is not None for each in (self.refusal, self.report, self.unsure_end))

    @property
    def unsure_end(self) -> Json | None:
        """A terminal status that is in the API or not, of a holder of the node that is no more.

        It is told before anybody else has the pod: nobody may run what the API shows as ended.
        """
        tells_end = self.attempted is not None and self.attempted.get("phase") in TERMINAL_PHASES
        return self.attempted if tells_end and self.report is None else None

    def was_refused(self, changes: int, until_s: float) -> None:
        """The API server does not take the status of so many changes: wait, or for news."""
        self.refused, self.refused_until_s, self.attempted = changes, until_s, None

    @property
    def ended_with_its_node(self) -> bool:
        """Whether a static pod is over because its node shut down, which no controller mends."""
        report = self.report
        return (
            self.is_static
            and report is not None
            and report.stopped
            and report.reason in SHUTDOWN_REASONS
        )

    @property
    def came_back(self) -> bool:
        """Whether a static pod was deleted under another leader, and is in its folder again.

        What ends cannot be told to go on: it begins anew when it has ended.
        """
        report, pod = self.report, self.pod
        was_deleted = report is not None and report.stopped and report.deleted
        return self.is_static and was_deleted and not (pod and pod.metadata.deletion_timestamp)

    @property
    def wants_material(self) -> bool:
        """Whether what the API holds for it is to be read, and kept."""
        return self.pod is not None and self.state in _WANTING and not self.is_stopping_done

    @property
    def is_stopping_done(self) -> bool:
        """Whether nothing is left of a pod that is being deleted, so that no plan is needed."""
        report = self.report
        return self.state is PodState.DELETING and report is not None and report.stopped

    @property
    def is_short_of_material(self) -> bool:
        """Whether it cannot be decided about yet. What ended or went elsewhere needs nothing."""
        is_open = self.state in (PodState.SEEN, PodState.DELETING) and not self.is_stopping_done
        return is_open and self.waits_for_material and self.material is None

    def changed_hands(self) -> None:
        """Another has the node, be it the next life of the same: none shuts down as it begins."""
        self.outlived_shutdown |= self.ended_with_its_node
        self.acked_digest, self.was_sent = "", False
        if self.state is not PodState.STOPPED:
            self.report = None

    def moved(self, event: PodEvent) -> None:
        """Change the state; raises `IllegalTransitionError`."""
        self.state = advance(self.state, event)
        self.changes += 1

    def planned(
        self, plan: PodPlan, blobs: Mapping[str, bytes], own: tuple[bytes, ...] = ()
    ) -> None:
        """Take a plan as the one that the node should have, with the contents that it names."""
        self.plan, self.blobs, self.own_contents = plan, blobs, own
        self.plan_digest = plan_digest(plan)

    def waits_for(self, what: str) -> None:
        """Take note of what it cannot begin without; another thing than before is to be told."""
        if what != self.awaited:
            self.awaited, self.has_untold_wait = what, bool(what)

    def lacks_secrets(self, names: tuple[str, ...]) -> None:
        """Take note of what its plan does without; others than before are to be told."""
        if names != self.lacking_secrets:
            self.lacking_secrets, self.has_untold_lack = names, bool(names)

    def ignores(self, faults: Mapping[str, str]) -> None:
        """Take note of what has no effect, by its field; others than before are to be told."""
        self.untold_faults += tuple(
            problem for name, problem in faults.items() if self.faults.get(name) != problem
        )
        self.faults = faults

    def take_material(self, material: Material) -> bool:
        """Take what was read for it; True if that is another than before."""
        is_news = self.wants_material and not material.equals(self.material)
        if is_news:
            self.material = material
        return is_news

    def let_go(self) -> None:
        """Keep no secret of a pod that has ended: neither its plan nor what that was made of."""
        self.material, self.plan, self.plan_basis = None, None, None
        self.blobs, self.own_contents = {}, ()
