"""When an image is fetched."""

from enum import StrEnum


class PullPolicy(StrEnum):
    """`imagePullPolicy`."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"
