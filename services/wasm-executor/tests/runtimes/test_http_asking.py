"""Handlers' own requests: where they may go, and what comes back."""

from pathlib import Path

import pytest
from answering_server import answering, own_certificate
from http_rig import serving
from keeper_rig import KeeperProcess, wait_until

from wasm_executor.container.plan import HttpPlan, Preopen
from wasm_executor.runtimes.wasihttp.policy import Policy


@pytest.mark.parametrize(
    ("pod", "node", "host", "port", "permitted"),
    [
        ((), ("*",), "api.example", 443, False),
        (("api.example",), ("*",), "api.example", 443, True),
        (("api.example",), ("*",), "api.example", 8443, False),
        (("api.example:8443",), ("*",), "api.example", 8443, False),
        (("api.example:8443",), ("*:8443",), "api.example", 8443, True),
        (("api.example:8443",), ("*:*",), "api.example", 8443, True),
        (("api.example:*",), ("*:*",), "api.example", 22, True),
        (("api.example",), ("*:*",), "api.example", 8443, False),
        (("*.example",), ("*",), "a.b.example", 80, True),
        (("*.example",), ("*",), "example", 80, False),
        (("*.example",), ("*",), "notexample", 80, False),
        (("*",), ("api.example",), "other.example", 443, False),
        (("[::1]:80",), ("::1",), "::1", 80, True),
        (("api.example:x",), ("*",), "api.example", 80, False),
    ],
)
def test_both_sides_have_to_allow_a_host(
    pod: tuple[str, ...], node: tuple[str, ...], host: str, port: int, *, permitted: bool
) -> None:
    assert Policy(pod, node).permits(host, port) is permitted


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "::1", "169.254.169.254", "fe80::1%eth0", "::ffff:127.0.0.1", "::"),
        *("64:ff9b::a9fe:a9fe", "2002:7f00:1::", "fd00:ec2::254", "168.63.129.16"),
    ],
)
def test_a_special_address_is_open_only_by_its_own_name(address: str) -> None:
    plain = address.partition("%")[0]
    assert not Policy(("*",), ("*",)).permits_address(address, 80)
    assert not Policy((plain,), ("*:*",)).permits_address(address, 80)
    assert not Policy(("*:*",), ("*:*",)).permits_address(address, 80)
    assert Policy((plain,), (plain,)).permits_address(address, 80)
    assert Policy((), ()).permits_address("192.0.2.1", 80)
    assert Policy((), ()).permits_address("64:ff9b::192.0.2.1", 80)


async def test_a_handler_asks_an_allowed_server_and_no_other(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor, serving(supervisor) as other:
        allowed = "{}:{}".format(*other.address)
        name = f"localhost:{other.address[1]}"
        plan = HttpPlan(
            allowed_hosts=(allowed, name, "127.0.0.1:1"), node_hosts=("127.0.0.1:1", allowed, name)
        )
        async with serving(supervisor, http=plan) as served:
            assert served.get(f"/ask/{allowed}").body == b"hello\n"
            assert served.get(f"/ask/{name}").body == b"hello\n"
            assert served.get("/ask/127.0.0.1:1").status == 502
            assert served.get("/ask/api.example:80").status == 403
            denied = "the handler answered with HTTP-request-denied"
            wait_until(lambda: denied in served.container.content("stderr"))
            said = served.container.content("stderr")
            assert "the handler answered with connection-refused" in said
        assert other.get(f"/ask/{allowed}").status == 403  # nothing is allowed there


async def test_a_name_leads_to_no_closed_address_and_a_redirect_is_not_followed(
    keeper: KeeperProcess,
) -> None:
    with answering(302, b"elsewhere\n") as port:
        name, address = f"localhost:{port}", f"127.0.0.1:{port}"
        async with keeper.supervise() as supervisor:
            plan = HttpPlan(allowed_hosts=(name, address), node_hosts=(f"*:{port}",))
            async with serving(supervisor, http=plan) as served:
                assert served.get(f"/ask/{name}").status == 403
                assert served.get(f"/ask/{address}").status == 403
                said = "the handler answered with destination-IP-prohibited"
                wait_until(lambda: served.container.content("stderr").count(said) == 2)
            both = HttpPlan(allowed_hosts=(name, address), node_hosts=(name, address))
            async with serving(supervisor, http=both) as served:
                assert served.get(f"/ask/{name}").body == b"elsewhere\n"


async def test_a_server_is_trusted_by_the_certificates_that_the_container_names(
    keeper: KeeperProcess, tmp_path: Path
) -> None:
    folder = tmp_path / "trusted"
    folder.mkdir()
    context = own_certificate(folder / "ca.pem", "localhost")
    mounts = (Preopen(host_path=str(folder), guest_path="/trusted", read_only=True),)
    with answering(200, b"over TLS\n", context) as port:
        name, address = f"localhost:{port}", f"127.0.0.1:{port}"
        plan = HttpPlan(allowed_hosts=(name, address), node_hosts=(name, address))
        async with keeper.supervise() as supervisor:
            env = {"SSL_CERT_FILE": "/trusted/ca.pem"}
            async with serving(supervisor, http=plan, preopens=mounts, env=env) as served:
                assert served.get(f"/Ask/{name}").body == b"over TLS\n"
                assert served.get(f"/Ask/{address}").status == 502  # it is another's certificate
            async with serving(supervisor, http=plan) as served:  # by the machine's own
                assert served.get(f"/Ask/{name}").status == 502
                said = "the handler answered with TLS-certificate-error"
                wait_until(lambda: said in served.container.content("stderr"))
            env = {"SSL_CERT_FILE": "/elsewhere/ca.pem"}
            async with serving(supervisor, http=plan, preopens=mounts, env=env) as served:
                assert served.get(f"/Ask/{name}").status == 502
                none = "no certificates are trusted: SSL_CERT_FILE=/elsewhere/ca.pem"
                wait_until(lambda: none in served.container.content("stderr"))
