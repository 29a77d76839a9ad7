"""What tests and benchmarks vary of a control plane."""

from collections.abc import Mapping, Sequence

import msgspec


class Tuning(msgspec.Struct, frozen=True, kw_only=True):
    """None means Kubernetes' own default."""

    # Of controller-manager and scheduler; burst is twice that. At the default of 20 the
    # controller-manager starts 5 s later, for it asks for a token for each of its controllers.
    kube_api_qps: int | None = 200
    node_monitor_period_s: float | None = None
    node_monitor_grace_period_s: float | None = None
    extra_args: Mapping[str, Sequence[str]] = {}  # by component name; the last flag wins

    def flags(self, component: str) -> list[str]:
        flags: list[str] = []
        if component in {"kube-controller-manager", "kube-scheduler"}:
            flags += self._client_flags()
        if component == "kube-controller-manager":
            flags += self._node_monitor_flags()
        return [*flags, *self.extra_args.get(component, ())]

    def _client_flags(self) -> list[str]:
        qps = self.kube_api_qps
        return [] if qps is None else [f"--kube-api-qps={qps}", f"--kube-api-burst={2 * qps}"]

    def _node_monitor_flags(self) -> list[str]:
        durations = {
            "--node-monitor-period": self.node_monitor_period_s,
            "--node-monitor-grace-period": self.node_monitor_grace_period_s,
        }
        return [f"{flag}={value}s" for flag, value in durations.items() if value is not None]
