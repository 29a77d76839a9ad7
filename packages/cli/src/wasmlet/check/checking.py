"""Judging manifests by the field table that judges pods on a node, and telling what was found."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import Any, Literal

import msgspec

from podspec.errors import QuantityError
from podspec.quantity import parse_quantity
from podspec.reviewing import Finding, Review, review
from wasmlet.check.documents import Document, Unreadable, documents_of
from wasmlet.check.lines import steps_of
from wasmlet.check.templates import Owner, owners_in

_EXIT_REFUSED = 1
_EXIT_UNREADABLE = 2


class Verdict(StrEnum):
    """What becomes of a field, or of an object."""

    REFUSED = "refused"
    IGNORED = "ignored"
    NEEDS = "needs"
    SKIPPED = "skipped"


class Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One finding, with where it is."""

    file: str
    line: int | None = None
    """None where the text does not tell it."""
    document: int
    """Of a file's several ones, counted from 1."""
    kind: str
    name: str
    field: str = ""
    verdict: Verdict
    reason: str

    def __str__(self) -> str:
        field = f" {self.field}" if self.field else ""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.kind}/{self.name}{field}: {self.verdict}: {self.reason}"


class Summary(msgspec.Struct, kw_only=True):
    """How much there was of everything."""

    pods: int = 0
    refused_pods: int = 0
    refused: int = 0
    ignored: int = 0
    needs: int = 0
    skipped: int = 0
    unreadable: int = 0

    def __str__(self) -> str:
        fate = f"{self.refused_pods} would not run" if self.refused_pods else "all would run"
        parts = [f"{_counted(self.pods, 'pod')}: {fate}" if self.pods else "no pods"]
        fields = (
            (self.refused, "refused"),
            (self.ignored, "ignored"),
            (self.needs, "for the node to allow"),
        )
        if told := ", ".join(f"{number} {what}" for number, what in fields if number):
            parts.append(f"fields: {told}")
        if self.skipped:
            parts.append(f"{_counted(self.skipped, 'object')} without pods")
        if self.unreadable:
            parts.append(f"{self.unreadable} unreadable")
        return "; ".join(parts)


class Answer(msgspec.Struct, frozen=True):
    """What `-o json` prints."""

    findings: Sequence[Told]
    summary: Summary


def check(files: Sequence[str], output: Literal["text", "json"]) -> int:
    """Check and tell; return the exit code."""
    summary = Summary()
    findings: list[Told] = []
    for document in (each for file in files for each in documents_of(file)):
        if isinstance(document, Unreadable):
            summary.unreadable += 1
            sys.stderr.write(f"wasmlet: {document.file}: {document.problem}\n")
        else:
            findings += _judged(document, summary)
    if output == "json":
        text = msgspec.json.format(msgspec.json.encode(Answer(findings, summary))).decode()
    else:
        text = "\n".join(map(str, (*findings, summary)))
    sys.stdout.write(f"{text}\n")
    if summary.unreadable:
        return _EXIT_UNREADABLE
    return _EXIT_REFUSED if summary.refused_pods else 0


def _judged(document: Document, summary: Summary) -> Iterator[Told]:
    for owner in owners_in(document.content):
        tell = partial(
            Told, file=document.file, document=document.number, kind=owner.kind, name=owner.name
        )
        if owner.has_pods:
            found = _review_of(owner)
            summary.pods += 1
            summary.refused_pods += bool(found.refused)
            for verdict, field in _fields(found):
                setattr(summary, verdict, getattr(summary, verdict) + 1)
                path = f"{owner.path}{field.path}"
                line = document.lines.of((*owner.steps, *steps_of(path)))
                yield tell(line=line, field=path, verdict=verdict, reason=field.reason)
        else:
            summary.skipped += 1
            line = document.lines.of(owner.steps)
            yield tell(line=line, verdict=Verdict.SKIPPED, reason="it has no pods")


def _fields(found: Review) -> Iterator[tuple[Verdict, Finding]]:
    yield from ((Verdict.REFUSED, each) for each in found.refused)
    yield from ((Verdict.IGNORED, each) for each in found.ignored)
    yield from ((Verdict.NEEDS, each) for each in found.needed)


def _review_of(owner: Owner) -> Review:
    if not isinstance(owner.pod, Mapping):
        return Review(refused=(Finding("spec", "it is required"),))
    found = review(owner.pod)
    if found.refused:
        return found
    return msgspec.structs.replace(found, refused=tuple(_no_quantities(owner.pod)))


def _no_quantities(pod: Mapping[str, Any]) -> Iterator[Finding]:
    for path, value in _quantities(pod["spec"]):
        try:
            parse_quantity(value)
        except QuantityError as error:
            yield Finding(path, str(error))


def _quantities(spec: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(kind) or ()):
            resources = container.get("resources") or {}
            for side in ("limits", "requests"):
                for resource, value in (resources.get(side) or {}).items():
                    yield f"spec.{kind}[{index}].resources.{side}.{resource}", value
    for resource, value in (spec.get("overhead") or {}).items():
        yield f"spec.overhead.{resource}", value


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
