"""What is shown of the certificates that were made, kept or signed, and when each is replaced."""

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from log_server_peers import cancelled_tasks
from log_server_pki import Authority
from log_server_world import eventually
from structlog.testing import capture_logs

from contract.ids import NodeName
from kubekit.client import connected
from kubekit.kubeconfig import Connection
from kubekit.testing import recorded_server, status_reply
from log_server import issuing
from log_server.certificates import (
    RENEW_BETWEEN,
    Requested,
    ServingCertificate,
    completed,
    keep,
    kept,
    kept_or_made,
    requested,
)
from log_server.errors import CertificateError
from log_server.issuing import Certificates
from log_server.kube import ApiServer
from log_server.settings import LogServerSettings
from log_server.tls import ListenerTls

NODE = NodeName("n1")
ADDRESS = "10.0.0.7"
HOUR_S = 3600.0
DAY = dt.timedelta(days=1)
AWAY = "http://127.0.0.1:1"
MISSED = "certificate.missed"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "kubelet-ca")


def signed_by(authority: Authority, lifetime: dt.timedelta = DAY) -> ServingCertificate:
    mine = requested(NODE, ADDRESS)
    pem = authority.sign(mine.request, lifetime=lifetime)
    return completed(mine, pem, NODE, ADDRESS, HOUR_S)


def test_what_is_found_again_is_replaced_at_the_moment_that_it_had(
    tmp_path: Path, authority: Authority
) -> None:
    made = kept_or_made(tmp_path, NODE, ADDRESS, HOUR_S)
    again = kept_or_made(tmp_path, NODE, ADDRESS, HOUR_S)
    assert (again.sha256, again.renew_at) == (made.sha256, made.renew_at)
    signed = signed_by(authority)
    keep(tmp_path, NODE, signed, signed=True)
    assert kept(tmp_path, NODE, ADDRESS, HOUR_S, signed=True) == signed


def test_nodes_replace_theirs_at_different_times_within_bounds(authority: Authority) -> None:
    backdated = dt.timedelta(minutes=55)  # the authority dates back by an hour, a signer by 5 min
    start_s = (dt.datetime.now(dt.UTC) - backdated).timestamp()
    parts = {(signed_by(authority).renew_at - start_s) / HOUR_S for _ in range(20)}
    slack = 60 / HOUR_S
    assert RENEW_BETWEEN[0] - slack < min(parts) < max(parts) < RENEW_BETWEEN[1] + slack
    assert max(parts) - min(parts) > slack


def test_a_certificate_of_another_key_or_name_is_refused(authority: Authority) -> None:
    mine, other = requested(NODE, ADDRESS), requested(NODE, ADDRESS)

    def refuse(asked: Requested, pem: bytes) -> None:
        with pytest.raises(CertificateError):
            completed(asked, pem, NODE, ADDRESS, HOUR_S)

    refuse(mine, authority.sign(other.request))
    refuse(mine, authority.sign(mine.request, names="n2"))
    refuse(mine, b"nothing")
    assert completed(mine, authority.sign(mine.request), NODE, ADDRESS, HOUR_S).expires_at


@asynccontextmanager
async def asking(server: str, folder: Path) -> AsyncIterator[Certificates]:
    settings = LogServerSettings(
        kubeconfig="in-cluster", certificate_mode="csr", run_dir=folder, nats_url="nats://unused"
    )
    async with connected(Connection(server=server), user_agent="test") as api:
        yield Certificates(settings, ApiServer(api, settings), ADDRESS)


@pytest.fixture
async def certificates(tmp_path: Path) -> AsyncIterator[Certificates]:
    async with asking(AWAY, tmp_path) as certificates:
        yield certificates


async def test_a_signed_certificate_is_shown_again_until_it_expires(
    tmp_path: Path, authority: Authority, certificates: Certificates
) -> None:
    old = signed_by(authority, -dt.timedelta(minutes=1))
    keep(tmp_path, NODE, old, signed=True)
    shown = certificates.first(NODE)
    assert shown.sha256 != old.sha256
    assert shown.renew_at == 0.0
    valid = signed_by(authority)
    keep(tmp_path, NODE, valid, signed=True)
    assert certificates.first(NODE).sha256 == valid.sha256


async def test_an_api_server_that_is_away_is_asked_on_and_one_that_refuses_ever_more_rarely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuing, "RETRY_S", 0.001)
    async with recorded_server() as refusing, AsyncExitStack() as stack:
        refusing.will("POST", *[status_reply(403, "Forbidden") for _ in range(100)])
        tasks = await stack.enter_async_context(cancelled_tasks())
        logs = stack.enter_context(capture_logs())
        for node, server in (("away", AWAY), ("refusing", refusing.url)):
            folder = tmp_path / node
            folder.mkdir()
            certificates = await stack.enter_async_context(asking(server, folder))
            tls = ListenerTls(certificates.first(NodeName(node)))
            tasks.create_task(certificates.keep_current(NodeName(node), tls, lambda: None))

        def missed(node: str) -> int:
            return sum(each["event"] == MISSED and each["node"] == node for each in logs)

        await eventually(lambda: missed("away") > 40 and missed("refusing") > 0, 30)
        assert missed("refusing") < 25
