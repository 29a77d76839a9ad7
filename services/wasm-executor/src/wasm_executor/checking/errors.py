"""What can go wrong while a container is asked; each text is what the kubelet would have said."""


class CheckingError(Exception):
    """Base of this package's errors; `text` goes into a probe's Event."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class NotDialledError(CheckingError):
    """There is no connection: refused, no route, no such name."""


class NoAnswerError(CheckingError):
    """There was a connection, and no head of a response came over it."""


class AnswerCutError(CheckingError):
    """The head of a response came, its body did not come whole."""


class NoRequestError(CheckingError):
    """No request can be made of what the pod says."""


class MessageMalformedError(CheckingError):
    """A gRPC answer came, and holds no message."""
