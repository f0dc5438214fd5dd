"""Manifests and fingerprints of made-up cases, valid and small, and empty files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pocketnet.contracts.fingerprint import Fingerprint
from pocketnet.contracts.manifest import Manifest

NUMBERS = dict.fromkeys(("mean", "std", "minimum", "maximum", "p0_5", "median", "p99_5"), 1.0)


def case(name: str, **more) -> dict:
    """A manifest's entry: an image, and what is given besides."""
    return {"case": name, "images": [f"{name}.nii.gz"], "label": None, "sha256": {}, **more}


def manifest(cases: Sequence[dict] = (), **more) -> Manifest:
    """A manifest of MRIs with one label; one case unless some are given."""
    return Manifest.from_json({
        "dataset": "hippocampus", "layout": "decathlon", "dimensions": 3, "modalities": ["MRI"],
        "labels": [{"name": "Anterior", "value": 1, "source_values": [1]}],
        "preprocessing": {"crop": "nonzero", "spacing_mm": None, "normalisation": "zscore"},
        "cases": [case(**entry) if "images" not in entry else entry
                  for entry in map(_named, cases)] or [case("a", label="a_seg.nii.gz")], **more})


def _named(entry: dict) -> dict:
    return {("name" if key == "case" and "images" not in entry else key): value for key, value in entry.items()}


def classes(cases: Sequence[dict] = (), names: Sequence[str] = ("negative", "positive"), **more) -> Manifest:
    """A classification's manifest."""
    labels = [{"name": name, "value": value, "source_values": [value]} for value, name in enumerate(names)]
    preprocessing = {"crop": "none", "spacing_mm": None, "normalisation": "zscore_image", "size": [64, 64]}
    return manifest(cases, task="classification", dimensions=2, labels=labels, preprocessing=preprocessing, **more)


def fingerprint(cases: dict[str, dict], modalities: Sequence[str] = ("MRI",), summary: dict | None = None
                ) -> Fingerprint:
    """A fingerprint: `shape` and `spacing_mm` by case, and `samples` by modality or `intensities` if they matter."""
    entries = {}
    for name, given in cases.items():
        given = dict(given)
        samples = given.pop("samples", [[1.0]] * len(modalities))
        entries[name] = {
            "orientation": "RAS", "cropped_shape": given["shape"], "label_voxels": {},
            "intensities": [{"modality": modality, **NUMBERS, "voxels": 1, "sample": sample}
                            for modality, sample in zip(modalities, samples, strict=True)], **given}
    first = summary or next(iter(entries.values()))
    return Fingerprint.from_json({"dataset": "hippocampus", "cases": entries, "summary": {
        key: first[key] for key in ("shape", "cropped_shape", "spacing_mm")}})


def touch(root: Path, *names: str) -> Path:
    """Empty files below `root`, which is returned."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root
