"""Which probes and hooks there are, and what comes of one."""

from enum import StrEnum


class ProbeKind(StrEnum):
    """What is asked."""

    STARTUP = "startup"
    READINESS = "readiness"
    LIVENESS = "liveness"


class HookKind(StrEnum):
    """At which end of a run."""

    POST_START = "post-start"
    PRE_STOP = "pre-stop"


class Verdict(StrEnum):
    """What a probe has found."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"
    """The probe itself went wrong: neither a success nor a failure of the container."""
