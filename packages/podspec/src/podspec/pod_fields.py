"""Rows for the pod level of a Pod's spec."""

from typing import Final

from podspec.rows import Row, honoured, refused
from podspec.security_fields import pod_security_rows

_SCHEDULER: Final = "by the scheduler"

_PLACEMENT: Final = (
    honoured("spec.nodeName"),
    honoured("spec.nodeSelector"),
    honoured("spec.affinity", "by the scheduler; what it requires of a node, by the node, too"),
    honoured("spec.tolerations"),
    honoured("spec.topologySpreadConstraints", _SCHEDULER),
    honoured("spec.schedulerName", _SCHEDULER),
    honoured("spec.schedulingGates", _SCHEDULER),
    honoured("spec.schedulingGroup", _SCHEDULER),
    honoured("spec.priority", _SCHEDULER),
    honoured("spec.priorityClassName", _SCHEDULER),
    honoured("spec.preemptionPolicy", _SCHEDULER),
    honoured("spec.os.name", needs="a node whose label kubernetes.io/os says the same"),
    honoured("spec.overhead"),
    honoured("spec.runtimeClassName"),
    honoured("spec.evictionResponders", "by the eviction controllers"),
)

_LIFE: Final = (
    honoured("spec.restartPolicy", pattern="Always|OnFailure|Never"),
    honoured("spec.terminationGracePeriodSeconds"),
    honoured("spec.activeDeadlineSeconds"),
    honoured("spec.readinessGates[].conditionType"),
)

_IDENTITY: Final = (
    honoured("spec.serviceAccountName"),
    honoured("spec.serviceAccount", "an older name of serviceAccountName"),
    honoured("spec.automountServiceAccountToken", "by the API server, which adds the volume"),
    honoured("spec.imagePullSecrets[].name"),
)

_NETWORK: Final = (
    honoured("spec.hostNetwork", "every pod shares its node's network"),
    honoured(
        "spec.dnsPolicy",
        "in /etc/resolv.conf",
        pattern="ClusterFirst|ClusterFirstWithHostNet|Default|None",
    ),
    honoured("spec.dnsConfig.nameservers"),
    honoured("spec.dnsConfig.searches"),
    honoured("spec.dnsConfig.options[].name"),
    honoured("spec.dnsConfig.options[].value"),
    honoured("spec.hostAliases[].ip", "in /etc/hosts"),
    honoured("spec.hostAliases[].hostnames"),
    honoured("spec.hostname", "as the variable HOSTNAME, in /etc/hostname and /etc/hosts"),
    honoured("spec.subdomain", "in /etc/hosts"),
    honoured("spec.hostnameOverride"),
    honoured("spec.setHostnameAsFQDN"),
    honoured("spec.enableServiceLinks"),
)

_ISOLATION: Final = (
    refused("spec.hostPID", "a guest sees no processes", defaults=(False,)),
    refused("spec.hostIPC", "a guest has no inter-process communication", defaults=(False,)),
    refused("spec.hostUsers", "user namespaces are not used", defaults=(True,)),
    refused("spec.shareProcessNamespace", "a guest sees no processes", defaults=(False,)),
)

_RESOURCES: Final = (
    refused("spec.resources", "limits of a whole pod are not enforced yet"),
    refused("spec.resourceClaims", "devices are not allocated"),
)

POD_FIELDS: Final[tuple[Row, ...]] = (
    *_PLACEMENT,
    *_LIFE,
    *_IDENTITY,
    *_NETWORK,
    *_ISOLATION,
    *pod_security_rows(),
    *_RESOURCES,
)
