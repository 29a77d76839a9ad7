"""What a command says in one line before it ends with exit code 1 or 2."""


class CommandLineError(Exception):
    """Base of this package's errors. `exit_code` is what the shell sees."""

    exit_code = 1


class UsageError(CommandLineError):
    """What was asked for cannot be done as asked."""

    exit_code = 2


class ServiceRefusedError(CommandLineError):
    """A service says that its settings are wrong; the message holds its own line."""
