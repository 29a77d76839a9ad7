"""The flags of each program: a cluster as kubeadm sets it up, on loopback ports."""

from pathlib import Path

import msgspec

from controlplane.pki import Pki

SERVICE_RANGE = "10.96.0.0/16"  # nothing routes it: pods of these tests call no Services


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """Where one control plane has its ports and files."""

    data_dir: Path
    pki: Pki
    etcd_port: int
    etcd_peer_port: int
    api_port: int
    controller_manager_port: int
    scheduler_port: int

    def kubeconfig(self, name: str) -> Path:
        return self.data_dir / f"{name}.kubeconfig"


def etcd(at: Layout) -> list[str]:
    client = f"https://127.0.0.1:{at.etcd_port}"
    peer = f"http://127.0.0.1:{at.etcd_peer_port}"
    return [
        "--name=only",
        f"--data-dir={at.data_dir / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=only={peer}",
        f"--trusted-ca-file={at.pki.etcd_authority.certificate}",
        f"--cert-file={at.pki.etcd_server.certificate}",
        f"--key-file={at.pki.etcd_server.key}",
        "--client-cert-auth",
        "--unsafe-no-fsync",  # a cluster of tests has nothing to lose when the machine goes down
        "--log-level=warn",
    ]


def api_server(at: Layout) -> list[str]:
    return [*_api_server_place(at), *_api_server_trust(at), *_service_account_flags(at)]


def _api_server_place(at: Layout) -> list[str]:
    return [
        "--bind-address=127.0.0.1",
        # Without an address of its own to advertise it looks for a default route. The endpoints
        # of the Service `kubernetes` may not be loopback, so nobody writes them.
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        f"--secure-port={at.api_port}",
        f"--cert-dir={at.data_dir / 'apiserver'}",
        f"--etcd-servers=https://127.0.0.1:{at.etcd_port}",
        f"--etcd-cafile={at.pki.etcd_authority.certificate}",
        f"--etcd-certfile={at.pki.etcd_client.certificate}",
        f"--etcd-keyfile={at.pki.etcd_client.key}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--allow-privileged=true",
        "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
    ]


def _api_server_trust(at: Layout) -> list[str]:
    return [
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--enable-bootstrap-token-auth=true",
        f"--client-ca-file={at.pki.authority.pair.certificate}",
        f"--tls-cert-file={at.pki.api_server.certificate}",
        f"--tls-private-key-file={at.pki.api_server.key}",
        f"--kubelet-client-certificate={at.pki.kubelet_client.certificate}",
        f"--kubelet-client-key={at.pki.kubelet_client.key}",
        f"--proxy-client-cert-file={at.pki.front_proxy_client.certificate}",
        f"--proxy-client-key-file={at.pki.front_proxy_client.key}",
        f"--requestheader-client-ca-file={at.pki.front_proxy_authority.certificate}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
    ]


def _service_account_flags(at: Layout) -> list[str]:
    return [
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={at.pki.service_account.certificate}",
        f"--service-account-signing-key-file={at.pki.service_account.key}",
    ]


def controller_manager(at: Layout) -> list[str]:
    authority = at.pki.authority.pair
    return [
        *_client_flags(at, "controller-manager"),
        f"--secure-port={at.controller_manager_port}",
        f"--tls-cert-file={at.pki.controller_manager.certificate}",
        f"--tls-private-key-file={at.pki.controller_manager.key}",
        "--controllers=*,bootstrapsigner,tokencleaner",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={at.pki.service_account.key}",
        f"--root-ca-file={authority.certificate}",
        f"--client-ca-file={authority.certificate}",
        f"--cluster-signing-cert-file={authority.certificate}",
        f"--cluster-signing-key-file={authority.key}",
    ]


def scheduler(at: Layout) -> list[str]:
    return [
        *_client_flags(at, "scheduler"),
        f"--secure-port={at.scheduler_port}",
        f"--tls-cert-file={at.pki.scheduler.certificate}",
        f"--tls-private-key-file={at.pki.scheduler.key}",
    ]


def _client_flags(at: Layout, name: str) -> list[str]:
    kubeconfig = at.kubeconfig(name)
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",  # there is no second one to wait for
    ]
