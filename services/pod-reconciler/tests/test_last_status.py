"""What an executor without a disk is told comes back as it was written."""

from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from reconciler_peer import AT
from reconciler_samples import pod_json, pod_of, report_of

from contract.ids import ContainerName
from contract.messages.report import ContainerReport, Running, Terminated, Waiting
from pod_reconciler.domain.recalling import last_status
from pod_reconciler.domain.rendering import render
from pod_reconciler.domain.surroundings import Surroundings
from pod_reconciler.domain.times import UNKNOWN_TIME

AROUND = Surroundings(node="wasm-1", host_ip="192.0.2.7")
moments = st.datetimes(
    datetime(2020, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    datetime(2030, 1, 1),  # noqa: DTZ001 - as above
    timezones=st.just(UTC),
).map(lambda moment: moment.replace(microsecond=0))
words = st.text(alphabet="abcXYZ é", max_size=8)
terminated = st.builds(
    Terminated,
    exit_code=st.integers(0, 255),
    reason=words,
    message=words,
    signal=st.integers(0, 31),
    container_id=words,
    started_at=moments | st.just(UNKNOWN_TIME),
    finished_at=moments | st.just(UNKNOWN_TIME),
)
states = (
    st.builds(Waiting, reason=words, message=words)
    | st.builds(Running, started_at=moments)
    | terminated
)


@given(states, st.none() | terminated, st.integers(0, 99))
def test_a_written_container_status_is_recalled_as_it_was_reported(
    state: Waiting | Running | Terminated, last: Terminated | None, count: int
) -> None:
    runs = isinstance(state, Running)
    report = ContainerReport(
        name=ContainerName("main"),
        state=state,
        last_state=last,
        restart_count=count,
        container_id="wasmtime://1",
        image="guest:1",
        image_id="guest@sha256:1",
        ready=runs,
        started=runs,
    )
    pod = pod_of(pod_json(restartPolicy="Always"))
    status = render(pod, report_of("u-1", report), AROUND, AT)
    assert last_status(msgspec.structs.replace(pod, status=status)) == (report,)


def test_a_pod_without_status_recalls_nothing() -> None:
    assert last_status(pod_of(pod_json())) == ()
