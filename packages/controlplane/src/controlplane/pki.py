"""Every key and certificate of one control plane, made in a folder of its data directory."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from controlplane.certificates import Authority, KeyPair, write_signing_key

API_SERVER_HOSTS = (
    "localhost",
    "127.0.0.1",
    "10.96.0.1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
LOOPBACK = ("127.0.0.1",)


class Pki(msgspec.Struct, frozen=True, kw_only=True):
    """Who may be whom: three authorities, so that a kubelet's certificate opens no etcd."""

    authority: Authority
    front_proxy_authority: KeyPair
    etcd_authority: KeyPair
    service_account: KeyPair
    api_server: KeyPair
    kubelet_client: KeyPair
    front_proxy_client: KeyPair
    etcd_server: KeyPair
    etcd_client: KeyPair
    admin: KeyPair
    controller_manager: KeyPair
    scheduler: KeyPair


def make_pki(
    folder: Path,
    *,
    api_server_hosts: Iterable[str] = API_SERVER_HOSTS,
    etcd_hosts: Iterable[str] = LOOPBACK,
) -> Pki:
    """Makes them anew; the hosts are where clients of those two servers find them."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    cluster = Authority(folder, "ca")
    front_proxy = Authority(folder, "front-proxy-ca")
    etcd = Authority(folder, "etcd-ca")
    return Pki(
        authority=cluster,
        front_proxy_authority=front_proxy.pair,
        etcd_authority=etcd.pair,
        service_account=write_signing_key(folder, "service-account"),
        api_server=cluster.issue("apiserver", name="kube-apiserver", hosts=api_server_hosts),
        # As kubeadm 1.36: no group, so a server that trusts only system:masters is found out.
        kubelet_client=cluster.issue(
            "apiserver-kubelet-client", name="kube-apiserver-kubelet-client"
        ),
        front_proxy_client=front_proxy.issue("front-proxy-client", name="front-proxy-client"),
        etcd_server=etcd.issue("etcd", name="etcd", hosts=etcd_hosts),
        etcd_client=etcd.issue("apiserver-etcd-client", name="kube-apiserver-etcd-client"),
        admin=cluster.issue("admin", name="kubernetes-admin", groups=("system:masters",)),
        # They serve /healthz with the same certificate that they show to the API server.
        controller_manager=cluster.issue(
            "controller-manager", name="system:kube-controller-manager", hosts=LOOPBACK
        ),
        scheduler=cluster.issue("scheduler", name="system:kube-scheduler", hosts=LOOPBACK),
    )
