"""The files of a pod's /etc: what a kubelet and a runtime would write, and who sees them."""

from pathlib import Path

import msgspec
import pytest
from volume_rig import UID, container, mount, pod, volume_rig

from contract.messages.naming import Dns, DnsBase, DnsConfig, HostAlias, Naming
from contract.messages.pod import PodPlan
from contract.messages.volume import EmptyDir
from wasm_executor.container.plan import Preopen
from wasm_executor.volumes.etcfiles import ETC, EtcFiles, EtcFilesError
from wasm_executor.volumes.folders import Folders
from wasm_executor.volumes.hosts import hosts_of
from wasm_executor.volumes.resolving import parsed, resolver_of

MANAGED = (
    "# Kubernetes-managed hosts file.\n"
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\n"
    "fe00::0\tip6-mcastprefix\n"
    "fe00::1\tip6-allnodes\n"
    "fe00::2\tip6-allrouters\n"
)
ALIASES = (
    HostAlias(ip="10.1.2.3", hostnames=("foo.local", "bar.local")),
    HostAlias(ip="10.1.2.4", hostnames=("a", "b")),
)
ADDED = "\n# Entries added by HostAliases.\n10.1.2.3\tfoo.local\tbar.local\n10.1.2.4\ta\tb\n"
NODE = DnsConfig(
    nameservers=("127.0.0.53", "9.9.9.9"), searches=("corp.test", "test"), options=("edns0",)
)
CLUSTER = DnsConfig(
    nameservers=("10.96.0.10",),
    searches=("default.svc.c.test", "svc.c.test", "c.test"),
    options=("ndots:5",),
)


def test_a_pods_hosts_file_is_the_kubelets() -> None:
    assert hosts_of(Naming(hostname="web-0"), "10.0.0.5", "") == f"{MANAGED}10.0.0.5\tweb-0\n"
    with_domain = Naming(hostname="web-0", domain="web.default.svc.c.test", aliases=ALIASES)
    assert hosts_of(with_domain, "10.0.0.5", "") == (
        f"{MANAGED}10.0.0.5\tweb-0.web.default.svc.c.test\tweb-0\n{ADDED}"
    )


def test_a_pod_of_the_host_network_has_its_nodes_hosts_file() -> None:
    naming = Naming(hostname="node", hosts_of_node=True, aliases=ALIASES)
    assert hosts_of(naming, "10.0.0.5", "10.9.9.9 mirror\n") == (
        f"# Kubernetes-managed hosts file (host network).\n10.9.9.9 mirror\n{ADDED}"
    )


def test_a_nodes_resolver_file_is_read_as_the_kubelet_reads_it() -> None:
    text = (
        "# nameserver 1.1.1.1\n  nameserver 127.0.0.53 \nnameserver\t9.9.9.9\nnameserver\n"
        "search gone.test\nsearch corp.test. . test\noptions ndots:1 edns0\noptions ndots:3\n"
    )
    assert parsed(text) == DnsConfig(
        nameservers=("127.0.0.53", "9.9.9.9"),
        searches=("corp.test", "test"),
        options=("ndots:3", "edns0"),
    )
    assert parsed("") == DnsConfig()


@pytest.mark.parametrize(
    ("dns", "text"),
    [
        (
            Dns(),
            "search corp.test test\nnameserver 127.0.0.53\nnameserver 9.9.9.9\noptions edns0\n",
        ),
        (
            Dns(base=DnsBase.CLUSTER, cluster=CLUSTER),
            (
                "search default.svc.c.test svc.c.test c.test corp.test test\n"
                "nameserver 10.96.0.10\noptions ndots:5\n"
            ),
        ),
        (
            Dns(
                base=DnsBase.CLUSTER,
                cluster=CLUSTER,
                added=DnsConfig(
                    nameservers=("10.96.0.10", "1.2.3.4"),
                    searches=("test", "own.test"),
                    options=("ndots:2", "edns0"),
                ),
            ),
            (
                "search default.svc.c.test svc.c.test c.test corp.test test own.test\n"
                "nameserver 10.96.0.10\nnameserver 1.2.3.4\noptions ndots:2 edns0\n"
            ),
        ),
        (
            Dns(base=DnsBase.NONE, added=DnsConfig(nameservers=("1.2.3.4",))),
            "nameserver 1.2.3.4\n",
        ),
        (Dns(base=DnsBase.NONE), ""),
    ],
)
def test_a_pods_resolver_file_is_put_together_by_its_policy(dns: Dns, text: str) -> None:
    assert resolver_of(dns, NODE) == (text, ())


def resolver_with(*searches: str, nameservers: tuple[str, ...] = ()) -> tuple[str, ...]:
    added = DnsConfig(nameservers=nameservers, searches=searches)
    text, warnings = resolver_of(Dns(base=DnsBase.NONE, added=added), NODE)
    return (text, *warnings)


def test_what_a_resolver_cannot_take_is_left_out_and_told_in_the_kubelets_words() -> None:
    assert resolver_with(nameservers=("1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4")) == (
        "nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\n",
        (
            "Nameserver limits were exceeded, some nameservers have been omitted, "
            "the applied nameserver line is: 1.1.1.1 2.2.2.2 3.3.3.3"
        ),
    )
    line = " ".join(f"s{number}.test" for number in range(32))
    assert resolver_with(*(f"s{number}.test" for number in range(33))) == (
        f"search {line}\n",
        (
            "Search Line limits were exceeded, some search paths have been omitted, "
            f"the applied search line is: {line}"
        ),
    )
    assert resolver_with("a" * 254, "b.test")[0] == "search b.test\n"
    long = [f"{number}{'x' * 250}" for number in range(9)]
    assert resolver_with(*long)[0] == f"search {' '.join(long[:8])}\n"
    fits = [*long[:8], "y" * (2048 - len(" ".join(long[:8])) - 1)]
    assert resolver_with(*fits) == (f"search {' '.join(fits)}\n",)


def etc_files(folder: Path, resolv_conf: str = "nameserver 9.9.9.9\n") -> EtcFiles:
    (folder / "resolv.conf").write_text(resolv_conf)
    (folder / "hosts").write_text("10.9.9.9 mirror\n")
    folders = Folders(folder / "data", folder / "run")
    return EtcFiles(folders, folder / "resolv.conf", folder / "hosts")


def named(plan: PodPlan, naming: Naming | None = None) -> PodPlan:

    return msgspec.structs.replace(plan, naming=naming or Naming(hostname="p"), pod_ip="10.0.0.5")


def contents(preopen: Preopen) -> dict[str, str]:
    files = Path(preopen.host_path).iterdir()
    return {each.name: each.read_text() for each in files if each.is_file()}


def has_folder(preopen: Preopen, name: str) -> bool:
    return Path(preopen.host_path, name).is_dir()


def test_all_containers_of_a_pod_see_the_same_files_made_once(tmp_path: Path) -> None:
    etc = etc_files(tmp_path)
    plan = named(pod(container(), container(name="d")))
    assert etc.preopens(plan, plan.containers[0]) == ()
    assert etc.make(plan) == ()
    (shown,) = etc.preopens(plan, plan.containers[0])
    assert (shown.guest_path, shown.read_only) == (ETC, True)
    assert (shown,) == etc.preopens(plan, plan.containers[1])
    assert contents(shown) == {
        "hosts": f"{MANAGED}10.0.0.5\tp\n",
        "hostname": "p\n",
        "resolv.conf": "nameserver 9.9.9.9\n",
    }
    (tmp_path / "resolv.conf").write_text("nameserver 8.8.8.8\n")
    etc.make(plan)
    assert contents(shown)["resolv.conf"] == "nameserver 9.9.9.9\n"


def test_the_host_name_is_the_full_one_where_it_is_asked_for(tmp_path: Path) -> None:
    etc = etc_files(tmp_path)
    plan = named(pod(container()), Naming(hostname="p", domain="d.test", hostname_is_full=True))
    etc.make(plan)
    (shown,) = etc.preopens(plan, plan.containers[0])
    assert contents(shown)["hostname"] == "p.d.test\n"
    assert contents(shown)["hosts"].endswith("10.0.0.5\tp.d.test\tp\n")


def test_warnings_are_told_once(tmp_path: Path) -> None:
    etc = etc_files(tmp_path, "".join(f"nameserver 9.9.9.{each}\n" for each in range(4)))
    plan = named(pod(container()))
    assert len(etc.make(plan)) == 1
    assert etc.make(plan) == ()


def test_a_plan_without_names_has_no_files(tmp_path: Path) -> None:
    etc = etc_files(tmp_path)
    plan = pod(container())
    assert etc.make(plan) == ()
    assert etc.preopens(plan, plan.containers[0]) == ()


def test_a_machine_without_a_resolver_has_none_for_its_pods(tmp_path: Path) -> None:
    etc = etc_files(tmp_path)
    (tmp_path / "resolv.conf").unlink()
    plan = named(pod(container()))
    etc.make(plan)
    (shown,) = etc.preopens(plan, plan.containers[0])
    assert contents(shown)["resolv.conf"] == ""


def test_a_machine_without_a_hosts_file_holds_the_pods_that_want_it(tmp_path: Path) -> None:
    etc = etc_files(tmp_path)
    (tmp_path / "hosts").unlink()
    plan = named(pod(container()), Naming(hostname="n", hosts_of_node=True))
    with pytest.raises(EtcFilesError, match="hosts: No such file or directory"):
        etc.make(plan)
    assert etc.preopens(plan, plan.containers[0]) == ()


def test_what_a_crash_left_half_done_is_made_again(tmp_path: Path) -> None:
    etc = etc_files(tmp_path)
    half = tmp_path / "run" / "volumes" / "pods" / UID / "etc.partial"
    half.mkdir(parents=True)
    (half / "hosts").write_text("half")
    plan = named(pod(container()))
    etc.make(plan)
    (shown,) = etc.preopens(plan, plan.containers[0])
    assert contents(shown)["hosts"].startswith(MANAGED)


async def shown_in_etc(folder: Path, *mounts: tuple[str, str, str]) -> dict[str, Preopen]:
    """Return a container's folders by their guest paths; mounts are (volume, path, sub path)."""
    rig, etc = volume_rig(folder), etc_files(folder)
    files = rig.blobs.files(hosts=b"own\n", other=b"o\n")
    with_mounts = container(*(mount(*each) for each in mounts))
    plan = named(pod(with_mounts, config=files, scratch=EmptyDir()))
    await rig.volumes.prepare(plan)
    etc.make(plan)
    others = etc.preopens(plan, with_mounts)
    preopens = rig.volumes.preopens(plan, with_mounts, 0, others)
    assert preopens == rig.volumes.preopens(plan, with_mounts, 0, others), "an exec sees the same"
    return {each.guest_path: each for each in preopens}


async def test_a_file_mounted_over_hosts_wins_and_the_others_stay(tmp_path: Path) -> None:
    world = await shown_in_etc(tmp_path, ("config", "/etc/hosts", "hosts"))
    assert contents(world[ETC]) == {
        "hosts": "own\n",
        "hostname": "p\n",
        "resolv.conf": "nameserver 9.9.9.9\n",
    }


async def test_a_folder_mounted_below_is_listed_beside_the_files(tmp_path: Path) -> None:
    world = await shown_in_etc(tmp_path, ("config", "/etc/app", ""), ("scratch", "/data", ""))
    assert set(contents(world[ETC])) == {"hosts", "hostname", "resolv.conf"}
    assert has_folder(world[ETC], "app")
    assert world[ETC].read_only
    assert set(world) == {"/etc/app", "/data", ETC, "/"}


async def test_a_folder_mounted_there_is_all_that_is_seen(tmp_path: Path) -> None:
    world = await shown_in_etc(tmp_path, ("scratch", ETC, ""))
    assert contents(world[ETC]) == {}
    assert not world[ETC].read_only


async def test_a_folder_mounted_at_the_root_is_not_covered(tmp_path: Path) -> None:
    assert set(await shown_in_etc(tmp_path, ("scratch", "/", ""))) == {"/"}


async def test_mounts_elsewhere_leave_it_alone(tmp_path: Path) -> None:
    world = await shown_in_etc(tmp_path, ("scratch", "/data", ""))
    assert world[ETC].host_path.endswith(f"pods/{UID}/etc")
    assert has_folder(world["/"], "etc")
