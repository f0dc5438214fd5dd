"""`metrics.csv` of an evaluation: a row a case and label, in a classification a row a case.

An empty field is an undefined value. In a classification a column `probability_<class>` for each class comes besides,
in the order of the classes.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

from pydantic import Field

from .base import Record, keyword_record
from .fields import CaseName, Count, NotNegative, Share, Text, Whole


@keyword_record
class CaseRow(Record):
    """What both tables have.

    Attributes:
        dataset, case, fold: What was evaluated.
        arch, width, recipe, seed, parameters, code, run_key: Of the network, as in its provenance.
        steps: Of all its trainings; None in a table of before.
    """

    dataset: Text
    case: CaseName
    fold: Count
    arch: Text
    width: Text
    recipe: Text
    seed: Whole
    parameters: Count
    code: Text
    run_key: Text
    steps: Count | None = None


@keyword_record
class LabelRow(CaseRow):
    """A label of a case.

    Attributes:
        label: Its name.
        dice: Overlap, 0 to 1.
        hd95_mm, asd_mm: 95th percentile and mean of the distances between surfaces.
        reference_ml, predicted_ml: Volumes.
        hd95_voxels_mm, asd_voxels_mm: Distances over all voxels of the masks.
        nsd_1mm: Share of both surfaces' voxels that lie at most 1 mm from the other.
    """

    label: Text
    dice: Share | None
    hd95_mm: NotNegative | None
    asd_mm: NotNegative | None
    reference_ml: NotNegative | None
    predicted_ml: NotNegative | None
    hd95_voxels_mm: NotNegative | None = None
    asd_voxels_mm: NotNegative | None = None
    nsd_1mm: Share | None = None


@keyword_record
class ClassRow(CaseRow):
    """A case of a classification.

    Attributes:
        class_name: Its class.
        predicted: The most probable one.
    """

    class_name: Annotated[Text, Field(alias="class")]
    predicted: Text


def columns(row: type[CaseRow]) -> tuple[str, ...]:
    """The names of a row's fields, as the table has them."""
    return tuple({"class_name": "class"}.get(field.name, field.name) for field in fields(row))
