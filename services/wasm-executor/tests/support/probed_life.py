"""Pods whose probes are answered by a test, with the clock passed in."""

from podclock import C, Clock, Driver, container_of, pod_of

from contract.messages.health import Probe, TcpSocket
from contract.messages.pod import RestartPolicy
from wasm_executor.domain.checks import ProbeKind, Verdict
from wasm_executor.domain.effects import RunProbe
from wasm_executor.domain.health import FIRST_PROBE_AFTER_S

PROBE = Probe(action=TcpSocket(port=80), period_s=10.0)
STARTUP, READINESS, LIVENESS = ProbeKind.STARTUP, ProbeKind.READINESS, ProbeKind.LIVENESS
OK, FAILED, UNKNOWN = Verdict.SUCCESS, Verdict.FAILURE, Verdict.UNKNOWN


def begun(
    clock: Clock, policy: RestartPolicy = RestartPolicy.ALWAYS, **probes: Probe | None
) -> Driver:
    driver = Driver(clock, pod_of(container_of(C, **probes), policy=policy))
    driver.begin()
    return driver


def asked(driver: Driver) -> list[ProbeKind]:
    return [each.kind for each in driver.effects if isinstance(each, RunProbe)]


def first(driver: Driver) -> list[ProbeKind]:
    driver.wait(FIRST_PROBE_AFTER_S)
    return asked(driver)
