"""Segment images with trained model folders; label maps have the geometry of the images."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, overload

import numpy as np

from .. import outputs
from ..contracts.decisions import OF_PATCH_SIZE, Operations, mirrored_of, operations_of, windows_of
from ..contracts.features import CaseFeatures
from ..contracts.labels import overlapping
from ..contracts.ranges import TrainingRanges
from ..contracts.tasks import SEGMENTATION, check_task
from ..errors import DataError, UsageError
from ..preprocessing import formats, geometry, ranges
from ..preprocessing.boxes import slices
from ..preprocessing.image import Channel
from ..preprocessing.reader import of_array
from ..preprocessing.scan import PreparedScan, Scan, read_scan, scan_of_images
from ..text import counted
from ..training.model_folder import ModelFolder
from . import engines, ensemble, features, memory, threads, windows
from .merge import WindowProgress, last_region, merge, most_likely
from .options import WINDOWS, Options
from .postprocessing import postprocess
from .resample_back import on_source
from .run import CasePrediction, Clock, Segmentation, Sink

if TYPE_CHECKING:
    import nibabel as nib
    import SimpleITK as sitk


class Predictor:
    """A trained network, or several as an ensemble, ready to segment.

    Example:
        >>> predictor = Predictor.load("results/demo/models/unet-pocket/fold0")
        >>> predictor.segment_files(["scan.nii.gz"], "scan_seg.nii.gz")
        >>> classes = predictor(array, spacing=(1.0, 1.0, 3.0))
    """

    task = SEGMENTATION

    def __init__(self, models: Sequence[ModelFolder], options: Options | None = None):
        self.models, self.options = list(models), options or Options()
        self.model = self.models[0]
        ensemble.check_alike(self.models)
        for model in self.models:
            ensemble.check_missing(model.plan, self.options.missing)
        if self.options.windows not in WINDOWS:
            raise UsageError(f"Unknown windows '{self.options.windows}'.", todo=f"Use one of: {', '.join(WINDOWS)}.")
        self.engine_name = engines.choose(self.options.engine, self.model.path)
        if self.options.max_memory_mib is not None and self.engine_name != "openvino":
            raise UsageError("Only OpenVINO tells beforehand what memory it takes, which --max-memory needs.",
                             todo="Use --engine openvino, or leave --max-memory out.")
        plan = self.model.plan
        decisions = [model.provenance.decisions for model in self.models]
        self._decided_windows = windows_of(decisions)
        mirrored = mirrored_of(plan, decisions) if self.options.tta is None else self.options.tta
        self._mirrors = ensemble.mirrors_of(plan) if mirrored else [()]
        self._share = threads.share(self.options.threads)
        self._made: dict[tuple[int, ...], list[engines.Engine]] = {}  # by window, the last one at the end

    @classmethod
    def load(cls, folder: str | Path | Sequence[str | Path], **options: Any) -> Predictor:
        """Open a model folder, or several as an ensemble, and verify their checksums.

        Args:
            folder: One or several model folders.
            options: Attributes of `Options`, for example `engine="tensorflow"`.

        Raises:
            UsageError: A folder does not exist or is not a segmentation model, the engine is unknown, or the models
                cannot form an ensemble.
            DataError: A folder is incomplete or was altered.
        """
        folders = [folder] if isinstance(folder, str | Path) else list(folder)
        models = [ModelFolder.open(one) for one in folders]
        for model in models:
            check_task(model.plan.task, cls.task, model.path)
        return cls(models, Options(**options))

    @property
    def predictions(self) -> int:
        """Number of predictions that are averaged at each voxel."""
        return len(self.models) * len(self._mirrors)

    @cached_property
    def operations(self) -> dict[str, Operations]:
        """The postprocessing of each label that has any: the plan's, or what the data of all models decided."""
        return operations_of(self.model.plan, [model.provenance.decisions for model in self.models])

    @property
    def engine(self) -> engines.Engine:
        """The first model's engine, for windows of the plan's patch."""
        return self._engines(self.model.plan.training.patch)[0]

    @cached_property
    def _activation_mib(self) -> float:
        """Memory of the network's activations per voxel of a window, with OpenVINO."""
        return cast(engines.OpenVinoEngine, self.engine).activation_mib / math.prod(self.model.plan.training.patch)

    @overload
    def __call__(self, image: np.ndarray, spacing: Sequence[float] | None = None,
                 follow: WindowProgress = iter) -> np.ndarray: ...

    @overload
    def __call__(self, image: nib.Nifti1Image | Sequence[nib.Nifti1Image], spacing: None = None,
                 follow: WindowProgress = iter) -> nib.Nifti1Image: ...

    @overload
    def __call__(self, image: sitk.Image | Sequence[sitk.Image], spacing: None = None,
                 follow: WindowProgress = iter) -> sitk.Image: ...

    def __call__(self, image: Any, spacing: Sequence[float] | None = None, follow: WindowProgress = iter) -> Any:
        """Segment an image in memory.

        Args:
            image: An array (x, y, z, channel), or (x, y, z) for one channel, in RAS+ and with the intensity units of
                the training images; or a nibabel or SimpleITK image, or a list with one image per modality.
            spacing: Voxel spacing of an array in mm; not needed if the model does not resample.
            follow: Wraps the list of windows to show progress.

        Returns:
            For an array, the classes (x, y, z) uint8; for an image, an image of the same kind and geometry. Unusual
            findings about an image are Python warnings.

        Raises:
            DataError: The number of channels differs from the model's, or the image cannot be used (`reader`, `scan`).
            UsageError: The model resamples, and `spacing` is missing; or it is not three positive numbers.
        """
        if not isinstance(image, np.ndarray):
            from .images import to_image

            sources = list(image) if isinstance(image, list | tuple) else [image]
            self._check_channels(len(sources))
            scan = read_scan(sources)
            _warn(self.findings(scan))
            return to_image(self.segment(scan, follow=follow).classes, scan, sources[0])
        if spacing is None and self.model.plan.preprocessing.spacing_mm:
            raise UsageError("This model resamples: say the array's spacing in mm.")
        images = of_array(image, spacing)
        self._check_channels(len(images))
        scan = scan_of_images(images)
        _warn(self.findings(scan, in_mm=spacing is not None))
        return self.segment(scan, follow=follow, in_mm=spacing is not None).classes

    def segment_files(self, images: str | Path | Sequence[str | Path], output: str | Path,
                      follow: WindowProgress = iter) -> np.ndarray:
        """Segment a case, one file per modality in the model's order, and write the label map.

        Args:
            images: Files of volumes, volumes of a 4D file (`scan.nii.gz[2]`), or DICOM series; or a single one.
            output: File to write, in the format of its suffix, with the geometry of the first image's header.
            follow: Wraps the list of windows to show progress.

        Returns:
            The classes in RAS+, (x, y, z) uint8.

        Raises:
            DataError: An image cannot be read, or does not match the others or the model.
            UsageError: `output` is one of the images, a file that may not be replaced, has no suffix of an image, or is
                a 2D image and cannot hold a volume.
        """
        images = [images] if isinstance(images, str | Path) else list(images)
        if not formats.is_written(Path(output).name):
            raise UsageError("The output has no suffix of an image.", where=str(output),
                             todo=f"Use one of these: {formats.TAKEN}.")
        read = [part for image in images for part in formats.parts(geometry.file_and_volume(image)[0])]
        outputs.check_files({Path(part): None for part in formats.parts(output)}, map(Path, read))
        self._check_channels(len(images))
        scan = read_scan(images)
        geometry.check_slices(output, cast(geometry.Grid, scan.grid).shape)
        _warn(self.findings(scan))
        classes = self.segment(scan, case=str(images[0]), follow=follow).classes
        geometry.write_image(output, classes, cast(geometry.Grid, scan.grid))
        return classes

    def segment(self, scan: Scan, *, case: str = "the image", sink: Sink | None = None,
                follow: WindowProgress = iter, in_mm: bool = True, described: bool = False) -> Segmentation:
        """Segment a scan.

        Args:
            scan: The case's modalities, in the model's order.
            case: Name of the case for messages.
            sink: Receives the probabilities, slab by slab (see `Sink`).
            follow: Wraps the list of windows to show progress.
            in_mm: Whether the scan's spacing is known. If not, no component is removed for its size.
            described: Whether to compute the features of the prediction.

        Raises:
            DataError: The number of channels differs from the model's.
            DeviceMemoryError: The case does not fit into `max_memory_mib`.
        """
        self._check_channels(len(scan.channels))
        missing, scan = self._missing, self._completed(scan)
        clock = Clock()
        prepared = PreparedScan(scan, self.model.plan.preprocessing)
        prepared.statistics  # noqa: B018  (computes and caches them here, so that the time counts as preparation)
        clock.lap("preparing")
        tiling, need = self._tiling(prepared, case)
        members = [ensemble.Member(model, engine, self._mirrors, self.predictions, self._share, missing)
                   for model, engine in zip(self.models, self._engines(tiling.window), strict=True)]
        run = CasePrediction(self.model.plan, members, prepared, tiling,
                             prepared.background_is_zero and self.options.windows != "plan", clock)
        clock.lap("starting")
        out = Segmentation(np.zeros(scan.shape, np.uint8),
                           np.zeros(scan.shape, np.uint8) if self.predictions > 1 else None,
                           tiling.window, (len(tiling), 0), clock.seconds, need)
        merged = merge(tiling, run.channels, run.members, follow, self._share)
        tally = features.Tally(self.model.plan.labels) if described else None
        self._fill(out, run, prepared, on_source(merged, prepared), sink, tally)
        out.windows = len(tiling) * len(self.models), run.skipped
        if any(self.operations.values()):
            del run, members
            if out.classes.size > memory.RELEASE_VOXELS:
                self.release()
            out.classes = postprocess(out.classes, self.model.plan.labels, self.operations,
                                      math.prod(scan.spacing) if in_mm else None)
        clock.lap("components")
        if tally:
            out.features = self._describe(scan, out.classes, tally)
            clock.lap("describing")
        return out

    def _fill(self, out: Segmentation, run: CasePrediction, prepared: PreparedScan,
              merged: Iterator[tuple[int, np.ndarray]], sink: Sink | None, tally: features.Tally | None) -> None:
        """Write the classes and the uncertainty of each slab into the segmentation; pass it to `sink` and `tally`."""
        inside, regions = slices(prepared.box), overlapping(self.model.plan.labels)
        for start, planes in merged:
            run.clock.lap("merging")
            at = (*inside[:2], slice(inside[2].start + start, inside[2].start + start + planes.shape[2]))
            probabilities = planes[..., : self.model.plan.network.classes]
            choose = last_region if regions else most_likely
            self._share(partial(_choose, out.classes[at], probabilities, choose), len(probabilities))
            if out.uncertainty is not None:
                out.uncertainty[at] = np.rint(ensemble.disagreement(planes, self.predictions, regions) * 255)
            if sink is not None:
                sink(at, probabilities)
            run.clock.lap("merging")
            if tally is not None:
                tally.add(out.classes[at], probabilities, None if out.uncertainty is None else out.uncertainty[at])
                run.clock.lap("describing")

    def _describe(self, scan: Scan, classes: np.ndarray, tally: features.Tally) -> CaseFeatures:
        """Return the features of a prediction."""
        shapes = features.of_shapes(classes, self.model.plan.labels, scan.spacing)
        measured = [ranges.measure_channel(one) for one in scan.channels]
        return CaseFeatures(self.predictions, features.of_scan(scan, self.modalities, measured),
                            {name: own | shapes[name] for name, own in tally.features(self.predictions).items()
                             if name in shapes})

    def findings(self, scan: Scan, *, in_mm: bool = True) -> list[str]:
        """Return the warnings about a scan: those of its files, and its differences from the training images.

        A model folder without ranges (trained before there were any) gives the first only.

        Args:
            scan: The case's modalities, in the model's order.
            in_mm: Whether the scan's spacing is known.

        Raises:
            DataError: The number of channels differs from the model's.
        """
        return [*scan.warnings, *self.unlike(scan, in_mm=in_mm)]

    def unlike(self, scan: Scan, *, in_mm: bool = True) -> list[str]:
        """Return the warnings about a scan's differences from the training images; arguments as of `findings`."""
        self._check_channels(len(scan.channels))
        seen = self._ranges
        if seen is None:
            return []
        return [*ranges.unlike_in_intensity(seen, [ranges.measure_channel(one) for one in scan.channels]),
                *(ranges.unlike_in_geometry(seen, scan.shape, scan.spacing) if in_mm else [])]

    @cached_property
    def _ranges(self) -> TrainingRanges | None:
        """Ranges of the training images of all models; None if one has none."""
        all_ = [model.provenance.ranges for model in self.models]
        return ranges.joined([one for one in all_ if one]) if all(all_) else None

    def release(self) -> None:
        """Free the memory of the networks; the next case allocates it again."""
        for engine in itertools.chain.from_iterable(self._made.values()):
            engine.release()

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that a case needs, in order: the model's without the missing ones."""
        return tuple(name for name in self.model.plan.modalities if name not in self.options.missing)

    @property
    def _missing(self) -> list[int]:
        return [index for index, name in enumerate(self.model.plan.modalities) if name in self.options.missing]

    def _completed(self, scan: Scan) -> Scan:
        """Return a scan with channels of zeros for the missing modalities."""
        channels = list(scan.channels)
        for index in self._missing:
            channels.insert(index, Channel(np.broadcast_to(np.uint8(0), scan.shape)))
        return replace(scan, channels=tuple(channels))

    def _check_channels(self, found: int) -> None:
        if found != len(self.modalities):
            raise DataError(f"The model takes {counted(len(self.modalities), 'modality', 'modalities')} "
                            f"({', '.join(self.modalities)}), found {found}.")

    def _engines(self, window: tuple[int, ...]) -> list[engines.Engine]:
        """Return one engine per model for a window size; those of earlier windows are kept within `memory.KEPT_MIB`."""
        made = self._made.pop(window, None)
        if made is None:
            plan, options = self.model.plan, self.options
            made = [engines.make(self.engine_name, model.path, window, plan.network.channels, options.threads,
                                 options.precision) for model in self.models]
        self._made[window] = made
        self._keep(window, memory.KEPT_MIB if len(self.models) == 1 else 0)
        return made

    def _keep(self, window: tuple[int, ...], most_mib: float) -> float:
        """Drop the networks of the oldest other windows until the rest fits, and return the memory of that in MiB."""
        def mib() -> float:
            return sum(one.held_mib for other, of_window in self._made.items() if other != window
                       for one in of_window if isinstance(one, engines.OpenVinoEngine))

        for other in list(self._made):
            if other != window and mib() > most_mib:
                for engine in self._made.pop(other):
                    engine.release()
        return mib()

    def _tiling(self, prepared: PreparedScan, case: str) -> tuple[windows.Tiling, memory.Need | None]:
        """Choose the windows; also return their memory if the engine can predict it."""
        plan, wanted, limit = self.model.plan, self.options.windows, self.options.max_memory_mib
        if self.engine_name != "openvino":
            if wanted in ("large", "padded"):
                raise UsageError("Only OpenVINO takes windows of other sizes than the plan's patch.",
                                 todo="Use --engine openvino, or other --windows.")
            decided = self._decided_windows if wanted == "auto" else wanted
            return memory.tilings(plan, prepared.shape, decided if decided in OF_PATCH_SIZE else "plan", False)[0], None
        if wanted == "auto":
            wanted = self._decided_windows or ("large" if self.takes_any_size else "plan")
        channels = plan.network.classes + (self.predictions > 1)
        extent = memory.Extent.of(prepared)
        tiling, need = memory.fitting(
            memory.tilings(plan, prepared.shape, wanted, prepared.background_is_zero),
            lambda t: memory.need(extent, t, channels, self._activation_mib * math.prod(t.window),
                                  any(self.operations.values())), limit, case)
        self._engines(tiling.window)
        left = (memory.DEFAULT_MIB if limit is None else limit) - need.mib
        return tiling, replace(need, kept=self._keep(tiling.window, max(0.0, min(memory.KEPT_MIB, left))))

    @cached_property
    def takes_any_size(self) -> bool:
        """Whether the networks support other window sizes than the patch.

        This is the rule for a model without a decision: they do not with instance normalisation, which computes its
        statistics over the window, or if the size is fixed in the graph.
        """
        plan = self.model.plan
        if plan.network.norm == "instance":
            return False
        twice = tuple(2 * side for side in plan.training.patch)
        try:
            for model in self.models:
                engines.make(self.engine_name, model.path, twice, plan.network.channels)
        except DataError:
            return False
        return True


def _warn(findings: Sequence[str]) -> None:
    """Pass the findings about the images on to the caller's program."""
    for text in findings:
        warnings.warn(text, stacklevel=3)


def _choose(classes: np.ndarray, probabilities: np.ndarray, choose: Callable[[np.ndarray], np.ndarray],
            slab: slice) -> None:
    classes[slab] = choose(probabilities[slab])
