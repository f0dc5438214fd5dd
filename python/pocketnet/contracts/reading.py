"""Files between the tasks of a check in batches: the cases to read, and what reading them has found."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .base import Contract, Record, record
from .fields import SHA256, AnyText, CaseName, Count, Path, Positive, Text, Unique, Whole, absent
from .fingerprint import CaseFingerprint
from .tasks import Task


@record
class ReadingRules(Record):
    """What reading a case needs to know of its dataset.

    Attributes:
        task: `segmentation` or `classification`.
        classes: Values in the label files by class name, in order.
        known: All valid values of label files.
        label_grid: As in the manifest.
        sample: Maximum intensities per modality in a case's fingerprint.
    """

    task: Task
    classes: dict[Text, tuple[Whole, ...]]
    known: Unique[Whole]
    label_grid: Literal["own", "image"]
    sample: Positive


@record
class ListedFile(Record):
    """A file as it was when the cases were listed.

    Attributes:
        path: Path below the dataset's folder.
        bytes: Size.
        modified: Time of the last modification, in µs since 1970.
    """

    path: Path
    bytes: Count
    modified: Whole


@record
class ListedCase(Record):
    """A case to read.

    Attributes:
        case: Name of the case.
        images: Path by modality; `scan.nii.gz[2]` is a volume of a 4D file.
        label: Path of the label map; None without one.
        class_name: Class of the case in a classification.
        annotated: Names of the annotated labels; None: all.
        files: All files of the case that exist, also those beside a header.
    """

    case: CaseName
    images: dict[Text, Path]
    label: Path | None
    files: tuple[ListedFile, ...]
    class_name: Text | None = absent(alias="class")
    annotated: tuple[Text, ...] | None = absent()


@record
class CaseList(Contract):
    """Cases for one task to read.

    Attributes:
        rules: What reading them needs to know of the dataset.
        cases: The cases.
    """

    kind: ClassVar[str] = "cases"
    writer: ClassVar[str | None] = "check"
    rules: ReadingRules
    cases: Annotated[tuple[ListedCase, ...], Field(min_length=1)]


@record
class FileProblem(Record):
    """A problem of a file; `file` is empty if it concerns the case."""

    file: AnyText
    problem: AnyText


@record
class ReadCase(Record):
    """What reading a case has found.

    Attributes:
        listed: The case as it was read.
        problems: Problems of its files.
        warnings: Unusual findings that may be intended.
        sha256: Checksum by file.
        fingerprint: The case's entry in `fingerprint.json`; None if there are problems.
    """

    listed: ListedCase
    problems: tuple[FileProblem, ...]
    warnings: tuple[AnyText, ...]
    sha256: dict[Path, SHA256]
    fingerprint: CaseFingerprint | None


@record
class CheckedCases(Contract):
    """What reading the cases of a list has found.

    Attributes:
        rules: The rules by which they were read.
        cases: The cases.
    """

    kind: ClassVar[str] = "checked"
    writer: ClassVar[str | None] = "read"
    rules: ReadingRules
    cases: Annotated[tuple[ReadCase, ...], Field(min_length=1)]
