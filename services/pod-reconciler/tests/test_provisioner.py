"""What is held for a pod is let go of with it, however far its first reading came."""

from typing import Any, cast

import pytest
from reconciler_samples import live_view, pod_json, see

from contract.ids import PodUid
from pod_reconciler.domain.material import Material
from pod_reconciler.provisioning import Provisioner
from pod_reconciler.supplies import Order

UID = PodUid("u-1")


class _FailingSupplies:
    """Holds something for a pod, and fails, if not told otherwise."""

    def __init__(self) -> None:
        self.held: set[Any] = set()
        self.given: Material | None = None
        self.orders: list[Order] = []

    async def gather(self, order: Order) -> Material:
        self.orders.append(order)
        self.held.add(order.user)
        if self.given is None:
            raise RuntimeError("unforeseen")
        return self.given

    def release(self, user: Any) -> None:
        self.held.discard(user)


async def test_a_pod_that_goes_after_its_first_reading_failed_leaves_nothing() -> None:
    view, supplies = live_view(), _FailingSupplies()
    provisioner = Provisioner(view, cast("Any", supplies), lambda _: None)
    see(view, pod_json())
    assert provisioner.is_due(UID)
    with pytest.raises(RuntimeError, match="unforeseen"):
        await provisioner.step(UID)
    assert supplies.held
    view.on_object_gone(UID, by_watch=True)
    assert provisioner.is_due(UID)
    await provisioner.step(UID)
    assert not supplies.held
    assert not provisioner.is_due(UID)


async def test_a_change_that_was_told_before_a_reading_failed_is_read_for_again() -> None:
    view, supplies = live_view(), _FailingSupplies()
    provisioner = Provisioner(view, cast("Any", supplies), lambda _: None)
    see(view, pod_json())
    supplies.given = Material()
    await provisioner.step(UID)
    assert not provisioner.is_due(UID)
    supplies.orders[0].notify()
    supplies.given = None
    with pytest.raises(RuntimeError, match="unforeseen"):
        await provisioner.step(UID)
    assert provisioner.is_due(UID)
    supplies.given = Material()
    await provisioner.step(UID)
    assert not provisioner.is_due(UID)
