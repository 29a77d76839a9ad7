"""What the command line writes: progress for people on stderr, results on stdout."""

import sys


def say(line: str) -> None:
    """Tells a person what goes on."""
    sys.stderr.write(f"control-plane: {line}\n")
    sys.stderr.flush()


def answer(line: str) -> None:
    """Writes a result, which scripts may read."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
