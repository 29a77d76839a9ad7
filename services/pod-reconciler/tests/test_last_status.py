"""What an executor without a disk is told comes back as it was written."""

from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from reconciler_peer import AT, container, ended, running
from reconciler_samples import AROUND, pod_json, pod_of, report_of

from contract.ids import ContainerName
from contract.messages.report import ContainerReport, Running, Terminated, Waiting
from pod_reconciler.domain.recalling import last_status
from pod_reconciler.domain.rendering import render
from pod_reconciler.domain.times import UNKNOWN_TIME

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


def test_containers_of_every_kind_are_recalled_as_they_start() -> None:
    pod = pod_of(
        pod_json(
            initContainers=[
                {"name": "prepare", "image": "i"},
                {"name": "proxy", "image": "i", "restartPolicy": "Always"},
            ],
            ephemeralContainers=[{"name": "debug", "image": "i"}],
        )
    )
    reports = (
        container(ended(0), "prepare", ready=True),
        container(running(), "proxy", ready=False),
        container(running()),
        container(running(), "debug"),
    )
    status = render(pod, report_of("u-1", *reports), AROUND, AT)
    recalled = last_status(msgspec.structs.replace(pod, status=status))
    assert [(each.name, each.ready, each.started) for each in recalled] == [
        ("prepare", True, False),
        ("proxy", False, True),
        ("main", True, True),
        ("debug", False, False),
    ]
    assert [each.state for each in recalled] == [each.state for each in reports]
