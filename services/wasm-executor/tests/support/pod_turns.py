"""Pods of several containers, and whose turn it is, with the clock passed in."""

from podclock import Clock, Driver

from contract.messages.health import Probe, TcpSocket
from contract.messages.pod import PodPlan
from wasm_executor.domain.effects import PrepareImage

PROBE = Probe(action=TcpSocket(port=80), period_s=1.0)


def begun(clock: Clock, plan: PodPlan) -> Driver:
    driver = Driver(clock, plan)
    driver.tell()
    return driver


def prepares(driver: Driver) -> list[str]:
    return [each.container for each in driver.effects if isinstance(each, PrepareImage)]
