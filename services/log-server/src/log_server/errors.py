"""What can go wrong in the log-server, by what the caller should do."""

from servicekit.errors import ServiceError


class LogServerError(ServiceError):
    """Base of this package's errors. Raised at the start, it ends the process with its one line."""


class AddressError(LogServerError):
    """No address that an API server may reach: set one."""


class ListenError(LogServerError):
    """A kubelet port cannot be opened: choose another."""


class CertificateError(LogServerError):
    """A CA bundle or a certificate cannot be used: what was in force before stays so."""


class PeerAwayError(LogServerError):
    """The executor, the reconciler or the bus did not answer within our patience. May pass."""


class ClientGoneError(LogServerError):
    """Whoever asked has gone: end what runs for him."""


class ProtocolError(LogServerError):
    """A client does not keep to the protocol that he has switched to: break the connection off."""


class NegotiationError(LogServerError):
    """No protocol that the client offers is spoken here: refuse the request."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(text)


class ReviewError(LogServerError):
    """The API server gave no verdict: refuse the request, and remember nothing."""


class UnansweredError(ReviewError):
    """The API server is away, or has no time for us: the same may be answered soon."""


class UnsignedError(ReviewError):
    """Nobody has signed what we asked for yet: wait on, and ask for nothing else."""
