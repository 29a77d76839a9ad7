"""What `/configz` shows: a KubeletConfiguration of what this node's API really does.

Fields of things that a node of ours has not, or that another service decides, are left out: nobody
is to take a kubelet's default for the truth.
"""

import msgspec

from log_server.settings import LogServerSettings


def kubelet_config(settings: LogServerSettings, port: int) -> bytes:
    """Return the body, for a listener's port."""
    debugging = settings.enable_debugging_handlers
    client_ca = {"clientCAFile": str(settings.client_ca_file)} if settings.client_ca_file else {}
    config = {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "enableServer": True,
        "address": settings.bind_address or "0.0.0.0",  # noqa: S104 - what is listened on
        "port": port,
        "readOnlyPort": 0,
        "healthzPort": settings.healthz_port,
        "healthzBindAddress": settings.healthz_bind_address,
        "streamingConnectionIdleTimeout": _duration(settings.streaming_idle_timeout_s),
        "authentication": {
            "x509": client_ca,
            "webhook": {"enabled": True, "cacheTTL": _duration(settings.token_cache_s)},
            "anonymous": {"enabled": False},
        },
        "authorization": {
            "mode": "Webhook",
            "webhook": {
                "cacheAuthorizedTTL": _duration(settings.allow_cache_s),
                "cacheUnauthorizedTTL": _duration(settings.deny_cache_s),
            },
        },
        "enableDebuggingHandlers": debugging,
        "enableContentionProfiling": False,
        "enableProfilingHandler": False,
        "enableDebugFlagsHandler": False,
        "enableSystemLogHandler": False,
        "enableSystemLogQuery": False,
    }
    return msgspec.json.encode({"kubeletconfig": config})


def _duration(seconds: float) -> str:
    """Write a time as Go does: 90 s are `1m30s`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    tail = f"{rest:g}s"
    if hours:
        return f"{hours}h{minutes}m{tail}"
    return f"{minutes}m{tail}" if minutes else tail
