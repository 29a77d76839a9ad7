"""The runs of one container: which one is meant, how the last two ended, what the next waits."""

import hashlib
from datetime import datetime

from contract.messages.report import Terminated
from wasm_executor.domain.checkpoint import ContainerRecord


def container_id(uid: str, name: str, run: int) -> str:
    """Return the id of one run: the same again after every restart of ours, of no other run."""
    digest = hashlib.sha256(f"{uid}/{name}/{run}".encode()).hexdigest()
    return f"wasmtime://{digest[:32]}"


class History:
    """What has become of a container so far."""

    def __init__(self, uid: str, name: str) -> None:
        self._uid = uid
        self._name = name
        self.run = -1
        """The latest run, one that is only being started included; -1 before the first."""
        self.shown_run = -1
        """The run that is reported: one behind `run` until that has started, its hook included."""
        self.started_at: datetime | None = None
        self.latest_end: Terminated | None = None
        self.previous_end: Terminated | None = None
        self.image = ""
        """What the latest run was made of, as its plan had it."""
        self.image_id = ""
        self.mounted: tuple[str, ...] = ()
        """IDs of the images that it sees as volumes: names may mean others by now."""

    def recall(self, past: ContainerRecord) -> None:
        """Take up what was written down. A run that was underway has yet to be accounted for."""
        self.run = self.shown_run = past.run - 1 if past.underway else past.run
        self.latest_end = past.latest_end
        self.previous_end = past.previous_end
        self.image = past.image
        self.image_id = past.image_id
        self.mounted = past.mounted

    @property
    def restart_count(self) -> int:
        return max(0, self.shown_run)

    @property
    def shown_id(self) -> str:
        """The id of the last run that came to be; empty before the first."""
        return container_id(self._uid, self._name, self.shown_run) if self.shown_run >= 0 else ""

    @property
    def current_id(self) -> str:
        return container_id(self._uid, self._name, self.run)

    def begin_run(self, image: str) -> int:
        self.run += 1
        self.image = image
        self.started_at = None
        return self.run

    def run_never_was(self) -> None:
        """No process came of the latest run: its number is free."""
        self.run -= 1

    def resume_run(self, started_at: datetime) -> None:
        """The run that was underway did come to be."""
        self.run += 1
        self.shown_run = self.run
        self.started_at = started_at

    def show_run(self) -> None:
        self.shown_run = self.run

    @property
    def is_shown(self) -> bool:
        """The latest run is the one that is reported."""
        return self.shown_run == self.run

    def keep_end(self, end: Terminated) -> None:
        """The latest run is over, and shown from here on, whether it was before or not."""
        self.show_run()
        self.previous_end, self.latest_end = self.latest_end, end
