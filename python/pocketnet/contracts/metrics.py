"""`metrics.csv` of an evaluation: one row per case and label; for a classification, one row per case.

An empty field is an undefined value. For a classification, the table also has one column `probability_<class>` per
class, in the order of the classes.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

from pydantic import Field

from .base import Record, keyword_record
from .fields import CaseName, Count, NotNegative, Share, Text, Whole


@keyword_record
class CaseRow(Record):
    """Columns of both tables.

    Attributes:
        dataset, case, fold: The evaluated case.
        arch, width, recipe, seed, parameters, code, run_key: As in the network's provenance.
        steps: Steps of all trainings of the network; None in older tables.
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
    """Metrics of one label of a case.

    Attributes:
        label: Name of the label.
        dice: Dice coefficient, 0 to 1.
        hd95_mm, asd_mm: 95th percentile and mean of the surface distances, in mm.
        reference_ml, predicted_ml: Volume in mL.
        hd95_voxels_mm, asd_voxels_mm: The same distances over all voxels of the masks, in mm.
        nsd_1mm: Share of both surfaces' voxels within 1 mm of the other surface.
        lesions: Connected components of the reference.
        lesion_dice, lesion_sensitivity, false_lesions, panoptic_quality: Lesion-wise metrics, as in `lesions`.
        group: What the case belongs to with others, as in `groups.together`; None for a case by itself.
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
    lesions: Count | None = None
    lesion_dice: Share | None = None
    lesion_sensitivity: Share | None = None
    false_lesions: Count | None = None
    panoptic_quality: Share | None = None
    group: Text | None = None


@keyword_record
class ClassRow(CaseRow):
    """A case of a classification.

    Attributes:
        class_name: True class.
        predicted: Most probable class.
    """

    class_name: Annotated[Text, Field(alias="class")]
    predicted: Text


def columns(row: type[CaseRow]) -> tuple[str, ...]:
    """Return the table's column names for a row type."""
    return tuple({"class_name": "class"}.get(field.name, field.name) for field in fields(row))
