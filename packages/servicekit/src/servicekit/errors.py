"""What stops a service before or while it runs."""


class ServiceError(Exception):
    """Base of this package's errors."""


class SettingsError(ServiceError):
    """A setting is missing, unknown or out of bounds: say so in one line and exit with 2."""


class StopRequested(ServiceError):  # noqa: N818 - a request, not a failure; raised to end the task group
    """SIGTERM or SIGINT arrived: end cleanly."""


class BusClosedError(ServiceError):
    """The NATS client is closed for good (wrong password, for instance): end the process."""


class BusUnavailableError(ServiceError):
    """No answer came: the peer or the bus is away. May be retried; commands may arrive late."""
