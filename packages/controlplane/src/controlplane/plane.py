"""A whole control plane on free ports: etcd, API server, controller-manager and scheduler.

Everything lies in one data directory; nothing of it is shared with another control plane, so any
number of them run side by side. All programs end with the process that started them.
"""

import time
from pathlib import Path
from typing import Self

from controlplane.building import REPOSITORY, Programs, build_control_plane
from controlplane.composition import compose, lay_out, write_kubeconfigs
from controlplane.errors import ControlPlaneError
from controlplane.kubeconfigs import Kubeconfigs
from controlplane.kubectl import Kubectl
from controlplane.processes import LOOK_EVERY_S, Component
from controlplane.tuning import Tuning

DEPLOY = REPOSITORY / "deploy"
FIRST_OBJECTS_WITHIN_S = 60.0

# kubeadm's way to let the API server call kubelets, for its certificate carries no group.
KUBELET_CLIENT_BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "kubeadm:apiserver-kubelet-client"},
    "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "system:kubelet-api-admin",
    },
    "subjects": [
        {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "User",
            "name": "kube-apiserver-kubelet-client",
        }
    ],
}


class ControlPlane:
    """Starts, stops and disturbs a control plane, and is its administrator."""

    def __init__(
        self, data_dir: Path, *, tuning: Tuning | None = None, programs: Programs | None = None
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._layout = lay_out(self.data_dir)
        self.server = f"https://127.0.0.1:{self._layout.api_port}"
        self.authority = self._layout.pki.authority.pair.certificate
        self._kubeconfigs = Kubeconfigs(self.server, self.authority)
        write_kubeconfigs(self._layout, self._kubeconfigs)
        self.admin = self._layout.pki.admin
        self.admin_kubeconfig = self._layout.kubeconfig("admin")
        programs = programs or build_control_plane()
        self.kubectl = Kubectl(programs.path("kubectl"), self.data_dir, self.admin_kubeconfig)
        self._components = compose(self._layout, programs, tuning or Tuning())

    @property
    def etcd(self) -> Component:
        return self._components.etcd

    @property
    def api_server(self) -> Component:
        return self._components.api_server

    @property
    def controller_manager(self) -> Component:
        return self._components.controller_manager

    @property
    def scheduler(self) -> Component:
        return self._components.scheduler

    @property
    def components(self) -> tuple[Component, ...]:
        """In the order in which they start."""
        return self._components.in_order()

    def start(self) -> None:
        """Returns when all components are ready and a pod can be created in `default`."""
        try:
            self._start_components()
            self.kubectl.apply(KUBELET_CLIENT_BINDING)
            self._wait_for_service_account()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops what runs; the data directory stays."""
        for component in reversed(self.components):
            component.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def deploy(self) -> None:
        """Applies deploy/: the services' roles and the RuntimeClass."""
        self.kubectl("apply", "-f", str(DEPLOY))

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """A kubeconfig with a new token of a service account, valid for an hour."""
        token = self.kubectl("create", "token", name, f"--namespace={namespace}").stdout.strip()
        path = self._layout.kubeconfig(f"{namespace}-{name}")
        return self._kubeconfigs.with_token(path, name, token)

    def user_kubeconfig(self, name: str, *groups: str) -> Path:
        """A kubeconfig with a client certificate of this user and these groups."""
        file = name.replace(":", "-").replace("/", "-")
        pair = self._layout.pki.authority.issue(f"user-{file}", name=name, groups=groups)
        path = self._layout.kubeconfig(f"user-{file}")
        return self._kubeconfigs.with_certificate(path, file, pair)

    def _start_components(self) -> None:
        self.etcd.start()
        self.etcd.wait_ready()
        self.api_server.start()
        self.api_server.wait_ready()
        for client in (self.controller_manager, self.scheduler):
            client.start()
        for client in (self.controller_manager, self.scheduler):
            client.wait_ready()

    def _wait_for_service_account(self) -> None:
        """The controller-manager makes it; the API server refuses pods before that."""
        deadline = time.monotonic() + FIRST_OBJECTS_WITHIN_S
        while self.kubectl("get", "serviceaccount", "default", check=False).returncode != 0:
            if time.monotonic() > deadline:
                raise ControlPlaneError("no service account `default` after a minute")
            time.sleep(LOOK_EVERY_S)
