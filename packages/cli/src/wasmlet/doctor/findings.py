"""What was found: one line each, with what to do about it."""

from enum import StrEnum

import msgspec

from wasmlet.telling import one_line


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at. What is well needs no advice."""

    level: Level
    about: str
    found: str
    advice: str = ""

    def line(self) -> str:
        """Return it as it is told."""
        advice = f": {self.advice}" if self.advice else ""
        return one_line(f"{self.level:<8} {self.about}: {self.found}{advice}")


def well(about: str, found: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(level=Level.OK, about=about, found=found)


def warning(about: str, found: str, advice: str) -> Finding:
    """Return that something works and could hurt."""
    return Finding(level=Level.WARNING, about=about, found=found, advice=advice)


def problem(about: str, found: str, advice: str) -> Finding:
    """Return that something does not work."""
    return Finding(level=Level.PROBLEM, about=about, found=found, advice=advice)
