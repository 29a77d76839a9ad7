"""What comes of one probe."""

from typing import Final

import msgspec

from wasm_executor.domain.checks import Verdict

MAX_BODY_BYTES: Final = 10 * 1024
"""What is read of a response's body: it is the output of a success."""
KUBERNETES_VERSION: Final = "1.36"
"""In the user agents: servers tell probes apart from users by `kube-probe/`."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One probe's verdict, with the kubelet's words for it."""

    verdict: Verdict
    output: str = ""
    """For FAILURE it follows `Liveness probe failed: `. For UNKNOWN it is the prober's own error,
    which follows `Liveness probe errored and resulted in STATE state: `."""
    warning: str = ""
    """A success that wants a ProbeWarning Event."""
    state: Verdict = Verdict.UNKNOWN
    """The STATE of an UNKNOWN: the kubelet says `failure` where the answer was cut off."""


def failure(output: str) -> Finding:
    return Finding(verdict=Verdict.FAILURE, output=output)
