"""Task-specific parts of the check of a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..contracts.fingerprint import Fingerprint
from ..contracts.labels import Label
from ..contracts.manifest import Manifest
from ..contracts.reading import ReadingRules
from ..contracts.tasks import CLASSIFICATION, SEGMENTATION
from . import classification, segmentation
from .folder import Case, Listing, Problem
from .labels import Classes
from .presets import Preset
from .verify import CheckCase, Checked


class DatasetTask(Protocol):
    """Check of a task's datasets."""

    def choose_classes(self, folder: Path, listing: Listing, cases: Sequence[Case], preset: Preset, asked: str | None
                       ) -> Classes:
        """Return the source values of each class, in order; `asked` is the value of `--labels`.

        Raises:
            UsageError: The dataset has no such classes.
        """

    @property
    def SAMPLE(self) -> int:
        """Maximum intensities per modality in the fingerprint of a case."""

    def known_values(self, listing: Listing, preset: Preset, classes: Classes) -> frozenset[int]:
        """Return all valid values of label files; none if there are no label files."""

    def checker(self, folder: Path, rules: ReadingRules) -> CheckCase:
        """Return the function that reads and checks one case."""

    def problems(self, listing: Listing, classes: Classes, folds: int | None, groups: Mapping[str, str]
                 ) -> list[Problem]:
        """Return problems with the classes and the number of cases; `groups` has the group of each case to train on."""

    def unused_files(self, folder: Path, listing: Listing, problems: Sequence[Problem]
                     ) -> tuple[list[Problem], list[str]]:
        """Return missing files as problems, and a line per kind of files that no case uses.

        `problems` are those found so far; the files that they name are not named again.
        """

    def warnings(self, classes: Classes, checked: Sequence[Checked]) -> list[str]:
        """Return unusual findings about the classes of all cases."""

    def describe_label(self, label: Label, manifest: Manifest, fingerprint: Fingerprint) -> dict[str, Any]:
        """Return what the summary says about a label in addition to the label itself."""

    def text_of_label(self, label: dict[str, Any]) -> str:
        """Format a label of the summary as a line of text."""


TASKS: dict[str, DatasetTask] = {SEGMENTATION: segmentation, CLASSIFICATION: classification}
