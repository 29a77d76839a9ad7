"""Telling the API what became of each pod: only what differs, one write at a time per pod."""

import msgspec
import structlog

from contract.ids import PodUid
from contract.staticstatus import StaticContainer
from kubekit.patches import status_patch
from pod_reconciler.domain.cluster import StatusWrite
from pod_reconciler.domain.duties import Hold, WriteDue, is_worth_writing, write_due
from pod_reconciler.domain.outcome import container_outcomes
from pod_reconciler.domain.pod import Json, Pod
from pod_reconciler.domain.record import PodRecord
from pod_reconciler.domain.rendering import OWNERSHIP
from pod_reconciler.domain.telling import status_of
from pod_reconciler.domain.tracking import NodeView
from pod_reconciler.errors import ActFailedError, PodAbsentError, WriteRefusedError
from pod_reconciler.links import Links, utc_now
from pod_reconciler.metrics import STATUS_WRITE_S, STATUS_WRITES
from servicekit.tracing import step

log = structlog.get_logger()


class Writer:
    """The step of one node's write lane."""

    def __init__(self, view: NodeView, links: Links) -> None:
        self._view = view
        self._links = links

    def due(self, record: PodRecord) -> WriteDue | Hold | None:
        """What to tell the API about this pod now."""
        delay_s = self._links.settings.creating_delay_s
        return write_due(self._view, record, self._links.clock(), delay_s)

    async def step(self, uid: PodUid) -> float | None:
        """Do the write that is due for a pod."""
        record = self._view.records.get(uid)
        match None if record is None else self.due(record):
            case Hold(until_s=until_s):
                return until_s - self._links.clock()
            case WriteDue.STATUS if record is not None:
                await self._write_status(record)
            case WriteDue.REMOVE if record is not None:
                await self._remove(record)
            case _:
                return None
        return 0.0

    async def _write_status(self, record: PodRecord) -> None:
        pod, report, changes = record.pod, record.report, record.changes
        assert pod is not None
        status = status_of(self._view, record, utc_now())
        patch = status_patch(record.uid, pod.status, status, OWNERSHIP)
        if patch is None or not _is_worth_it(record, patch):
            record.settled, record.attempted = changes, None
            return
        write = StatusWrite(pod=pod, status=status, patch=patch)
        record.attempted = status
        try:
            async with self._links.write_slots:
                with STATUS_WRITE_S.time(), step("status.write"):
                    version = await self._links.cluster.write_status(
                        write, self._links.write_timeout_s()
                    )
        except PodAbsentError:
            await self._confirm_gone(record)
        except WriteRefusedError as error:
            STATUS_WRITES.labels("refused").inc()
            log.error("status.refused", **_names(record), reason=str(error))  # noqa: TRY400 - one line says it
            retry_s = self._links.settings.write_refused_retry_s
            record.was_refused(changes, self._links.clock() + retry_s)
        else:
            STATUS_WRITES.labels("written").inc()
            log.info("status.written", **_names(record), **_told(version.pod))
            record.attempted = None
            unchanged = record.pod is pod and record.report is report
            self._view.on_pod(version, self._links.clock(), by_watch=False)
            # The answer may carry a spec that the watch has not shown: that is still to be told.
            if unchanged and version.pod.metadata.generation == pod.metadata.generation:
                record.settled = record.changes

    def unwritten(self, record: PodRecord) -> Json | None:
        """The status that the API does not show yet; None where it shows all that is known."""
        is_due = record.is_known and record.has_unwritten and self._view.is_live_for(record)
        if record.pod is None or not is_due:
            return None
        return status_of(self._view, record, utc_now())

    async def _remove(self, record: PodRecord) -> None:
        assert record.pod is not None
        try:
            async with self._links.write_slots:
                await self._links.cluster.remove(record.pod, self._links.write_timeout_s())
        except PodAbsentError:
            await self._confirm_gone(record)
        except WriteRefusedError as error:
            raise ActFailedError(str(error)) from error
        else:
            log.info("pod.removed", **_names(record))
            self._view.on_removed(record.uid)

    async def _confirm_gone(self, record: PodRecord) -> None:
        """The API answered as if the pod were gone: ask by name before believing it."""
        found = await self._links.cluster.find(
            record.namespace, record.name, self._links.write_timeout_s()
        )
        if found is not None and found.metadata.uid == record.uid:
            raise ActFailedError("the API server denied a pod that is there")
        self._view.on_object_gone(record.uid, by_watch=False)


def _is_worth_it(record: PodRecord, patch: bytes) -> bool:
    return is_worth_writing(record, lambda: msgspec.json.decode(patch)["status"])


def _names(record: PodRecord) -> dict[str, str]:
    return {"namespace": record.namespace, "pod": record.name, "pod_uid": record.uid}


def _told(pod: Pod) -> dict[str, str]:
    containers = " ".join(_in_short(each) for each in container_outcomes(pod.status))
    return {"phase": pod.phase, "reason": pod.status.get("reason", ""), "containers": containers}


def _in_short(container: StaticContainer) -> str:
    detail = [container.reason] if container.reason else []
    if container.exit_code is not None:
        detail.append(f"exit {container.exit_code}")
    if container.restart_count:
        detail.append(f"restarts {container.restart_count}")
    return f"{container.name}={container.state}" + (f" ({', '.join(detail)})" if detail else "")
