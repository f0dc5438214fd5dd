"""`manifest.json`: a dataset's cases and their files."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from ..text import counted
from .base import Contract, Record, record
from .fields import SHA256, AnyText, CaseName, Distinct, Path, Percentage, Positive, Spacing, Text, Whole, absent
from .labels import Labels, Modalities, check_annotation, check_labels
from .tasks import DEFAULT, TASKS, Task

Crop = Literal["nonzero", "none"]
Size = Annotated[tuple[Positive, ...], Field(min_length=2, max_length=2)]


@record
class SpacingRule(Record):
    """Rule that derives the target spacing from the cases' spacings.

    Attributes:
        percentile: Percentile of the cases' spacings, per axis; 50 is the median.
        through_plane_percentile: Percentile for the axis of the largest median spacing, if it differs.
    """

    percentile: Percentage
    through_plane_percentile: Percentage | None = absent()


@record
class PreprocessingRules(Record):
    """Preprocessing rules of the dataset; planning turns them into numbers.

    Attributes:
        crop: `nonzero` crops to the bounding box of the voxels that are non-zero in every modality; `none` does not
            crop.
        spacing_mm: Target spacing per RAS+ axis in mm, or a rule for it; None keeps each case's spacing.
        normalisation: As in the plan, or `by_modality`: `window` if every modality is CT, else `zscore`.
        size: Rows and columns to resize images to (classification).
    """

    crop: Crop
    spacing_mm: Spacing | SpacingRule | None
    normalisation: Literal["zscore", "window", "by_modality", "zscore_image"]
    size: Size | None = absent()


@record
class Case(Record):
    """A case and its files. Paths are relative to the dataset's folder.

    Attributes:
        case: Name of the case, a plain file name.
        images: One file per modality, in order; `scan.nii.gz[2]` is a volume of a 4D file, counted from 0.
        label: Label map; None if there is none.
        sha256: Checksum per file.
        class_name: Class of the case (classification).
        group: Patient, subject or site of the case, if known; a group is in one part of each split.
        stratum: Value to stratify by, besides the class, if asked for.
        annotated: Names of the labels that were annotated in the case, if not all were; elsewhere than in them, nothing
            is known about the others.
    """

    case: CaseName
    images: Annotated[tuple[Path, ...], Field(min_length=1)]
    label: Path | None
    sha256: dict[Path, SHA256]
    class_name: Text | None = absent(alias="class")
    group: Text | None = absent()
    stratum: Text | None = absent()
    annotated: Annotated[tuple[Text, ...], Field(min_length=1), Distinct()] | None = absent()

    @property
    def labelled(self) -> bool:
        """Whether the case has a reference: a label map or a class."""
        return self.label is not None or self.class_name is not None


@record
class ListedSplit(Record):
    """The dataset's own test set.

    Attributes:
        rule: `listed`: the cases are listed by name.
        test: Names of the test cases.
    """

    rule: Literal["listed"]
    test: Annotated[tuple[CaseName, ...], Field(min_length=1), Distinct()]


@record
class Manifest(Contract):
    """A checked dataset.

    Attributes:
        dataset: Name of the preset, or the stem of its file.
        layout: Layout of the folder.
        task: `segmentation` or `classification`.
        dimensions: Dimensions of the images, 2 or 3.
        modalities: Channels, in order.
        labels: Classes 1…K; for a classification, 0…K-1.
        preprocessing: Preprocessing rules of the dataset.
        cases: Cases, sorted by name.
        label_grid: `image`: label maps lie on the grid of their image and their headers are ignored; `own`: their
            headers must match the image's grid.
        split: The dataset's own test set, if any.
        caution: Caution to show with every result on the dataset.
        ignore: Value of unannotated voxels in the dataset's label maps, if any.
    """

    kind: ClassVar[str] = "manifest"
    writer: ClassVar[str | None] = "check"
    dataset: Text
    layout: Text
    dimensions: Literal[2, 3]
    modalities: Modalities
    labels: Labels
    preprocessing: PreprocessingRules
    cases: Annotated[tuple[Case, ...], Field(min_length=1)]
    task: Task = DEFAULT
    label_grid: Literal["own", "image"] | None = absent()
    split: ListedSplit | None = absent()
    caution: AnyText | None = absent(min_length=1)
    ignore: Whole | None = absent()

    @property
    def partly_annotated(self) -> bool:
        """Whether some voxels, or some labels of some cases, were not annotated."""
        return self.ignore is not None or any(case.annotated for case in self.cases)

    @model_validator(mode="after")
    def _check(self) -> Any:
        check_labels(self.labels, self.task)
        check_annotation(self.labels, self.ignore, {case.case: case.annotated or () for case in self.cases})
        if len(set(self.modalities)) != len(self.modalities):
            raise ValueError(f"modalities with different names, not {list(self.modalities)}")
        names = [case.case for case in self.cases]
        if len(set(names)) != len(names):
            twice = next(name for index, name in enumerate(names) if name in names[:index])
            raise ValueError(f"cases with different names, not {twice!r} twice")
        rules, classes = TASKS[self.task], {label.name for label in self.labels}
        for case in self.cases:
            if len(case.images) != len(self.modalities):
                raise ValueError(f"{counted(len(self.modalities), 'image')} per case, one per modality; "
                                 f"{case.case} has {len(case.images)}")
            if rules.reference == "class_name" and case.class_name is not None and case.class_name not in classes:
                raise ValueError(f"classes of the labels, {sorted(classes)}; {case.case} has {case.class_name!r}")
        if isinstance(self.preprocessing.spacing_mm, tuple) and \
                len(self.preprocessing.spacing_mm) != self.dimensions:
            raise ValueError(f"a preprocessing.spacing_mm of {self.dimensions} numbers")
        if rules.resized and self.preprocessing.size is None:
            raise ValueError(f"a preprocessing.size, as in every {self.task}")
        return self
