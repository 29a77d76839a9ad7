"""When an image is pulled, where the pod does not say so."""

from contract.messages.pull import PullPolicy


def default_pull_policy(image: str) -> PullPolicy:
    """What the API server would fill in: `Always` for `:latest` and for no tag at all."""
    if image.startswith("file:") or "@" in image:
        return PullPolicy.IF_NOT_PRESENT
    _, _, last = image.rpartition("/")
    _, _, tag = last.partition(":")
    return PullPolicy.ALWAYS if tag in ("", "latest") else PullPolicy.IF_NOT_PRESENT
