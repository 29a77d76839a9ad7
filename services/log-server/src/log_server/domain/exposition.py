"""Prometheus' text format, as the kubelet writes it: families and labels sorted by name.

Own and small, because samples carry the time of their measurement, which a client library's
registry does not do for series that come and go.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from prometheus_client.utils import floatToGoString

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Kind(StrEnum):
    """The type of a family."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Sample(NamedTuple):
    """One value. `suffix` is of a histogram's parts."""

    value: float
    labels: Mapping[str, str] = {}
    at_ms: int | None = None
    suffix: str = ""


class Family(NamedTuple):
    """All samples of one name."""

    name: str
    help: str
    kind: Kind
    samples: Iterable[Sample]


def exposed(families: Iterable[Family]) -> str:
    """Return the text of all families that have a sample."""
    return "".join(_text(family) for family in sorted(families, key=lambda each: each.name))


def _text(family: Family) -> str:
    lines = [_line(family.name, each) for each in family.samples]
    if not lines:
        return ""
    described = family.help.replace("\\", r"\\").replace("\n", r"\n")
    head = f"# HELP {family.name} {described}\n# TYPE {family.name} {family.kind}\n"
    return head + "".join(lines)


def _line(name: str, sample: Sample) -> str:
    # `le` comes last, as in the kubelet's: it is added to the sorted ones.
    names = sorted(sample.labels, key=lambda label: (label == "le", label))
    labels = ",".join(f'{label}="{_escaped(sample.labels[label])}"' for label in names)
    shown = f"{{{labels}}}" if labels else ""
    time = "" if sample.at_ms is None else f" {sample.at_ms}"
    return f"{name}{sample.suffix}{shown} {_number(sample.value)}{time}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    written = str(floatToGoString(value))  # type: ignore[no-untyped-call] # the library has no types
    return written.removesuffix(".0")
