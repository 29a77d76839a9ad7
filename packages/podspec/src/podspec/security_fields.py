"""Rows for securityContext, of the pod and of a container.

What it guards against on Linux a guest cannot do in the first place: it has no users, no system
calls and no capabilities. So what asks for less is what happens anyway and no use, what asks for
more is ignored and told; only what the pod could not do without is refused. A pod that the Pod
Security Standard *restricted* allows runs, and is told of its user and group ids at most.
"""

from typing import Final

from podspec.rows import Row, honoured, ignored, refused

_NO_USERS: Final = "a guest has no users or groups"
_NO_KERNEL: Final = "a guest makes no system calls"
_NO_WINDOWS: Final = "this is no Windows node"


def _common(path: str) -> tuple[Row, ...]:
    """What a pod may say for its containers."""
    return (
        ignored(f"{path}.runAsUser", _NO_USERS),
        ignored(f"{path}.runAsGroup", _NO_USERS),
        ignored(f"{path}.runAsNonRoot", _NO_USERS, defaults=(True, False)),
        ignored(f"{path}.seLinuxOptions", _NO_KERNEL),
        *_profile(f"{path}.seccompProfile"),
        *_profile(f"{path}.appArmorProfile"),
        refused(f"{path}.windowsOptions", _NO_WINDOWS),
    )


def _profile(path: str) -> tuple[Row, ...]:
    return (
        ignored(f"{path}.type", _NO_KERNEL, defaults=("RuntimeDefault",)),
        ignored(f"{path}.localhostProfile", _NO_KERNEL),
    )


def pod_security_rows() -> tuple[Row, ...]:
    """The rows of spec.securityContext."""
    path = "spec.securityContext"
    return (
        *_common(path),
        ignored(f"{path}.fsGroup", _NO_USERS),
        ignored(f"{path}.fsGroupChangePolicy", _NO_USERS),
        ignored(f"{path}.supplementalGroups", _NO_USERS),
        ignored(f"{path}.supplementalGroupsPolicy", _NO_USERS),
        ignored(f"{path}.seLinuxChangePolicy", _NO_KERNEL),
        refused(f"{path}.sysctls", "a guest has no kernel parameters"),
    )


def security_rows(path: str) -> tuple[Row, ...]:
    """The rows of the securityContext of one kind of container."""
    context = f"{path}.securityContext"
    return (
        refused(
            f"{context}.privileged",
            "a guest cannot be given its node's rights",
            defaults=(False,),
        ),
        ignored(f"{context}.allowPrivilegeEscalation", _NO_KERNEL, defaults=(False,)),
        ignored(f"{context}.capabilities.add", _NO_KERNEL),
        honoured(f"{context}.capabilities.drop", "a guest has none"),
        ignored(f"{context}.procMount", _NO_KERNEL, defaults=("Default",)),
        ignored(
            f"{context}.readOnlyRootFilesystem",
            "a guest writes to its volumes only",
            defaults=(True,),
        ),
        *_common(context),
    )
