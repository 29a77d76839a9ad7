"""What can go wrong with a message, before it is sent and after it has arrived."""


class ContractError(Exception):
    """Base of this package's errors."""


class InvalidTokenError(ContractError):
    """A node name, UID or id cannot be a subject token: refuse the input that it came from."""

    def __init__(self, what: str, value: str) -> None:
        self.what = what
        self.value = value
        super().__init__(f"{value!r} is not a {what}")


class UnknownSubjectError(ContractError):
    """A subject is not of this contract's form: ignore the message and count it."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        super().__init__(f"not a subject of this contract: {subject!r}")


class DecodeError(ContractError):
    """Bytes are not the message that their subject promises: answer with code 400."""


class PayloadTooLargeError(ContractError):
    """A message would exceed the server's payload limit, which would cost the connection.

    Send it as a blob, or in pages.
    """

    def __init__(self, subject: str, size: int, limit: int) -> None:
        self.subject = subject
        self.size = size
        self.limit = limit
        super().__init__(f"{size} bytes for {subject} exceed the limit of {limit}")


class CommandError(ContractError):
    """The peer refused a command, or could not carry it out.

    `code` follows HTTP: 400 and 404 are final for this message, 409 means that the sender's view
    is out of date (term, incarnation, revision), 503 may be retried.
    """

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")
