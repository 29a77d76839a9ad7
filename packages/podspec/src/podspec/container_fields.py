"""Rows for the containers of a Pod."""

from typing import Final

from podspec.rows import Row, honoured, ignored, refused

_NO_USERS: Final = "a guest has no users or groups"
_NO_KERNEL: Final = "a guest makes no system calls"
_NO_PROBES: Final = "probes are not run yet"
_NO_REFERENCES: Final = "ConfigMaps and Secrets are not read yet"

# What the downward API offers to environment variables; volumes know a few more.
ENV_FIELD_PATHS: Final = (
    r"metadata\.(name|namespace|uid)"
    r"|metadata\.(labels|annotations)\['[^']+'\]"
    r"|spec\.(nodeName|serviceAccountName)"
    r"|status\.(hostIP|hostIPs|podIP|podIPs)"
)

_PROGRAM: Final = (
    honoured("spec.containers[].name"),
    honoured("spec.containers[].image"),
    honoured("spec.containers[].imagePullPolicy", pattern="Always|IfNotPresent|Never"),
    honoured("spec.containers[].command"),
    honoured("spec.containers[].args"),
    refused("spec.containers[].workingDir", "a guest has no working directory yet"),
)

_ENVIRONMENT: Final = (
    honoured("spec.containers[].env[].name"),
    honoured("spec.containers[].env[].value"),
    honoured("spec.containers[].env[].valueFrom.fieldRef.apiVersion", pattern="v1"),
    honoured("spec.containers[].env[].valueFrom.fieldRef.fieldPath", pattern=ENV_FIELD_PATHS),
    refused("spec.containers[].env[].valueFrom.resourceFieldRef", "it is not resolved yet"),
    refused("spec.containers[].env[].valueFrom.configMapKeyRef", _NO_REFERENCES),
    refused("spec.containers[].env[].valueFrom.secretKeyRef", _NO_REFERENCES),
    refused("spec.containers[].env[].valueFrom.fileKeyRef", "volumes are not mounted yet"),
    refused("spec.containers[].envFrom", _NO_REFERENCES, beside_kind="prefix"),
)

_LIFE: Final = (
    refused("spec.containers[].restartPolicy", "only the pod's restartPolicy is honoured yet"),
    refused("spec.containers[].restartPolicyRules", "only the pod's restartPolicy is honoured yet"),
    refused("spec.containers[].lifecycle", "hooks are not run yet"),
    refused("spec.containers[].livenessProbe", _NO_PROBES),
    refused("spec.containers[].readinessProbe", _NO_PROBES),
    refused("spec.containers[].startupProbe", _NO_PROBES),
    refused(
        "spec.containers[].terminationMessagePath",
        "a guest has no termination log yet",
        defaults=("/dev/termination-log",),
    ),
    refused(
        "spec.containers[].terminationMessagePolicy",
        "a guest has no termination log yet",
        defaults=("File",),
    ),
)

_RESOURCES: Final = (
    honoured("spec.containers[].resources.limits.memory"),
    ignored("spec.containers[].resources.limits.cpu", "processor time is not limited"),
    ignored("spec.containers[].resources.limits.ephemeral-storage", "disk use is not limited yet"),
    refused("spec.containers[].resources.limits.*", "this node has no such resource"),
    honoured("spec.containers[].resources.requests.memory"),
    honoured("spec.containers[].resources.requests.cpu", "by the scheduler"),
    honoured("spec.containers[].resources.requests.ephemeral-storage", "by the scheduler"),
    refused("spec.containers[].resources.requests.*", "this node has no such resource"),
    refused("spec.containers[].resources.claims", "devices are not allocated"),
    ignored(
        "spec.containers[].resizePolicy[].restartPolicy",
        "resources are not changed in place",
        defaults=("NotRequired",),
    ),
    honoured("spec.containers[].resizePolicy[].resourceName"),
)

_NETWORK: Final = (
    # As everywhere in Kubernetes, declaring a port opens none.
    honoured("spec.containers[].ports[].containerPort", "a declaration"),
    honoured("spec.containers[].ports[].name", "a declaration"),
    honoured("spec.containers[].ports[].protocol", "a declaration"),
    # With hostNetwork the API server copies containerPort here; that is no use (see `automatic`).
    refused("spec.containers[].ports[].hostPort", "a guest cannot listen yet"),
    refused("spec.containers[].ports[].hostIP", "a guest cannot listen yet"),
)

_STREAMS: Final = (
    refused("spec.containers[].stdin", "attach is not served yet", defaults=(False,)),
    refused("spec.containers[].stdinOnce", "attach is not served yet", defaults=(False,)),
    refused("spec.containers[].tty", "a guest has no terminal yet", defaults=(False,)),
)

_VOLUMES: Final = (
    refused("spec.containers[].volumeMounts", "volumes are not mounted yet"),
    refused("spec.containers[].volumeDevices", "block devices are not given to guests"),
)

_SECURITY: Final = (
    refused(
        "spec.containers[].securityContext.privileged",
        "a guest cannot be given its node's rights",
        defaults=(False,),
    ),
    ignored("spec.containers[].securityContext.allowPrivilegeEscalation", _NO_KERNEL),
    ignored("spec.containers[].securityContext.capabilities", _NO_KERNEL),
    ignored("spec.containers[].securityContext.procMount", _NO_KERNEL),
    ignored("spec.containers[].securityContext.seccompProfile", _NO_KERNEL),
    ignored("spec.containers[].securityContext.appArmorProfile", _NO_KERNEL),
    ignored("spec.containers[].securityContext.seLinuxOptions", _NO_KERNEL),
    ignored("spec.containers[].securityContext.readOnlyRootFilesystem", "a guest has no root"),
    ignored("spec.containers[].securityContext.runAsUser", _NO_USERS),
    ignored("spec.containers[].securityContext.runAsGroup", _NO_USERS),
    ignored("spec.containers[].securityContext.runAsNonRoot", _NO_USERS),
    refused("spec.containers[].securityContext.windowsOptions", "this is no Windows node"),
)

CONTAINER_FIELDS: Final[tuple[Row, ...]] = (
    *_PROGRAM,
    *_ENVIRONMENT,
    *_LIFE,
    *_RESOURCES,
    *_NETWORK,
    *_STREAMS,
    *_VOLUMES,
    *_SECURITY,
)
