"""Leadership without competition, and the identity of a competitor."""

from kubekit.election import Elector
from kubekit.leadership import Leadership, StaticTerm
from kubekit.leases import ZERO


def test_every_process_has_an_identity_of_its_own() -> None:
    identities = {
        Elector(None, namespace="n", name="l", identity="me").identity  # type: ignore[arg-type]  # never asked
        for _ in range(2)
    }
    assert len(identities) == 2


async def test_a_static_term_always_leads() -> None:
    static: Leadership = StaticTerm()
    assert static.is_leading
    assert await static.leading() == static.assert_leading() == ZERO
    assert static.request_timeout_s(7) == 7
    assert static.deadline_left_s() > 10**9
