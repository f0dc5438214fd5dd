"""`pocket-plan`: choose patch, depth and recipe, and split the cases into folds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from ..text import counted
from .common import batch_size, command, integers, json_option, log, output_option, quiet_option, result, split_list

if TYPE_CHECKING:
    from ..contracts.plan import Plan
    from ..contracts.profile import Predicted, Profile, ProfiledConfiguration

EXAMPLES = """
pocket-plan --manifest out/manifest.json --fingerprint out/fingerprint.json --recipe quick -o out
pocket-plan --manifest out/manifest.json --fingerprint out/fingerprint.json --patch 32,48,32 --folds 3 -o out
pocket-plan --manifest out/manifest.json --fingerprint out/fingerprint.json --training-sizes 8,16,32 -o out
pocket-plan --manifest out/manifest.json --fingerprint out/fingerprint.json --splits splits_final.json -o out
pocket-plan --manifest out/manifest.json --fingerprint out/fingerprint.json --start-from models/unet-pocket/fold0 -o out
pocket-plan --manifest out/manifest.json --fingerprint out/fingerprint.json --postprocessing largest -o out
pocket-plan --manifest out/manifest.json --fingerprint out/fingerprint.json --edited my_plan.json -o out
pocket-plan --manifest out/manifest.json --fingerprint out/fingerprint.json --batches 20 -o out
"""


@command("plan", examples=EXAMPLES)
@click.option("--manifest", required=True, type=click.Path(path_type=Path), help="manifest.json of pocket-check.")
@click.option("--fingerprint", required=True, type=click.Path(path_type=Path), help="fingerprint.json of pocket-check.")
@click.option("--recipe", default="quick", show_default=True,
              help="Recipe of training and inference; docs/usage.md lists them.")
@click.option("--folds", default=5, show_default=True, help="Folds of the cross-validation.")
@click.option("--seed", default=12345, show_default=True, help="Seed of splits, weights, patches and augmentation.")
@click.option("--patch", metavar="X,Y,Z",
              help="Patch in voxels; one number applies to all axes. Default: chosen from the data.")
@click.option("--batch", type=int, help="Patches per step. Default: the recipe's.")
@click.option("--epochs", type=int, help="Number of epochs. Default: the recipe's.")
@click.option("--steps-per-epoch", type=int, help="Steps per epoch. Default: the recipe's.")
@click.option("--depth", type=int, help="Number of downsamplings. Default: as many as the patch allows.")
@click.option("--feature-maps", type=int, help="Feature maps of the finest level. Default: the recipe's.")
@click.option("--no-augmentation", is_flag=True, help="Train without augmentation.")
@click.option("--training-sizes", metavar="N,N,…|auto",
              help="Instead of folds, make nested training sets of these sizes (auto: all cases, half, a quarter …) "
                   "with one validation set and one test set.")
@click.option("--splits", "given", type=click.Path(path_type=Path),
              help="Use these folds: nnU-Net's splits_final.json, whose val is the test part, or a splits.json.")
@click.option("--experiment", help="Plan for an experiment of the paper; refuse data that does not fit it.")
@click.option("--loss", help="l2_dice, dice_cross_entropy, cross_entropy, tversky, focal_tversky, "
                             "tversky_cross_entropy or dice_cross_entropy_boundary. Default: the recipe's.")
@click.option("--precision", help="float32, mixed_float16 (on a GPU) or mixed_bfloat16. Default: the recipe's.")
@click.option("--accumulate", type=int,
              help="Batches per optimiser step (gradient accumulation). Default: the recipe's.")
@click.option("--rematerialise", is_flag=True,
              help="Recompute blocks in the backward pass: less memory, about a third more time.")
@click.option("--start-from", type=click.Path(path_type=Path),
              help="Model folder that the trainings start from: plan networks of its structure. See pocket-train.")
@click.option("--learning-rate", type=float, help="Initial learning rate. Default: the recipe's.")
@click.option("--postprocessing", help="auto: decided for each label after the training, on training references and "
              "validation predictions; largest: each label's largest component, as in the paper; none. "
              "Default: the recipe's, auto.")
@click.option("--mirroring", help="auto: whether predictions of mirrored images are averaged is decided after the "
              "training, on validation predictions, if training mirrors; always (2 to 8 times the time); never. "
              "Default: the recipe's.")
@click.option("--device", help="Device to train on: t4, v100, a100, h100, h200, cpu, or a device file. The recipe's "
              "batch and patch are reduced to fit it; a --patch or --batch that cannot fit is refused.")
@click.option("--arch", help="Architectures to train (a list). Default: the task's or the experiment's.")
@click.option("--width", default="pocket,full", show_default=True, help="Widths to train (a list).")
@click.option("--configuration", help="auto, 2d (slice by slice) or 3d. Default: the recipe's.")
@click.option("--edited", type=click.Path(path_type=Path),
              help="Your edited plan.json. It is checked against the data and used unchanged.")
@click.option("--batches", metavar="N|auto", help="Also write batches/, manifests of parts of the cases, N cases each, "
              "for the tasks of the pipeline. auto: a number that suits the dataset.")
@output_option("Folder for plan.json, splits.json and predicted.json.")
@quiet_option
@json_option
def main(manifest: Path, fingerprint: Path, recipe: str, folds: int, seed: int, patch: str | None, batch: int | None,
         epochs: int | None, steps_per_epoch: int | None, depth: int | None, feature_maps: int | None, loss: str | None,
         precision: str | None, accumulate: int | None, rematerialise: bool, no_augmentation: bool,
         postprocessing: str | None, mirroring: str | None, training_sizes: str | None, given: Path | None,
         experiment: str | None, device: str | None, start_from: Path | None, learning_rate: float | None,
         arch: str | None, width: str, configuration: str | None, edited: Path | None, batches: str | None,
         output: Path, quiet: bool, as_json: bool) -> None:
    """Plan the training on a dataset and split its cases into folds.

    You can read and edit the plan; give the edited file to --edited. predicted.json contains the predicted memory and
    time of each network on --device (default: this machine's processor).
    """
    from .. import outputs
    from ..contracts.fingerprint import Fingerprint
    from ..contracts.manifest import Manifest
    from ..contracts.plan import Plan
    from ..errors import UsageError
    from ..experiments import definition
    from ..planning import batches as in_batches
    from ..planning.folds import labelled, shared_images, split_cases, split_into_subsets
    from ..planning.given import given_splits
    from ..planning.plan import PlanOverrides, check_edited, make_plan, without_augmentation
    from ..planning.preprocessing import check_belongs
    from ..planning.splits import splits as with_constants
    from ..training.start import Start, adjusted

    size = batch_size(batches)
    outputs.check_files({output / "plan.json": "plan", output / "splits.json": "splits",
                         output / "predicted.json": "profile"},
                        [manifest, fingerprint, *([given] if given else []), *([start_from] if start_from else [])])
    if batches:
        outputs.check_folder(output / "batches")
    cases = Manifest.read(manifest)
    if experiment:
        definition.check_fits(experiment, cases, str(manifest))
        wanted = definition.load(experiment).get("plan", {})
        no_augmentation = no_augmentation or wanted.get("augmentation") is False
        training_sizes = training_sizes or wanted.get("training_sizes")
    if given and training_sizes:
        raise UsageError("--splits and --training-sizes both say how the cases are split.", todo="Give one of them.")
    prints = Fingerprint.read(fingerprint)
    check_belongs(prints, cases, fingerprint)
    if edited:
        plan = Plan.read(edited)
        check_edited(plan, cases, edited)
    else:
        plan = make_plan(cases, prints, recipe, seed=seed, overrides=PlanOverrides(
            patch=integers(patch, "--patch"), batch=batch, epochs=epochs, steps_per_epoch=steps_per_epoch, depth=depth,
            feature_maps=feature_maps, loss=loss, precision=precision, accumulate=accumulate,
            rematerialise=rematerialise, postprocessing=postprocessing, mirroring=mirroring,
            configuration=configuration))
    if start_from and not edited:
        plan = Start.open(start_from).structured(plan)
    elif start_from:
        Start.open(start_from).check(plan)
    plan = adjusted(plan, learning_rate=learning_rate)
    networks = _networks(plan, arch, width, experiment)
    plan, predicted = _predicted(plan, networks, device, patch=bool(patch or edited), batch=bool(batch or edited))
    if no_augmentation:
        plan = without_augmentation(plan)
    if given:
        rule, parts = given_splits(given, cases, plan.seed)
    elif training_sizes:
        wanted = None if training_sizes == "auto" else integers(training_sizes, "--training-sizes")
        rule, parts = split_into_subsets(cases, wanted, plan.seed)
    else:
        rule, parts = split_cases(cases, folds, plan.seed)
    for line in shared_images(parts, labelled(cases)):
        log(f"Warning: the same image is in several parts: {line}", quiet)
    splits = with_constants(plan, rule, parts, prints)
    plan.write(output / "plan.json")
    predicted.write(output / "predicted.json")
    splits.write(output / "splits.json")
    if batches:
        in_batches.write(cases, splits, size, output / "batches")
    if plan.configuration:
        log(f"Configuration {plan.configuration.name}: {plan.configuration.reason}.", quiet)
    training = plan.training
    largest, count = splits.folds[-1], len(splits.folds)
    words = f"{counted(count, 'training set')} of up to" if training_sizes else f"{counted(count, 'fold')} of about"
    log(f"Plan for {plan.dataset}, recipe {plan.recipe}: patch {'×'.join(map(str, training.patch))}, "
        f"batch {training.batch}, depth {plan.network.depth}, {plan.network.feature_maps} first feature maps, "
        f"{counted(training.steps, 'step')}; {words} {len(largest.train)} training, "
        f"{len(largest.validation)} validation and {len(largest.test)} test cases.", quiet)
    for entry in predicted.configurations:
        if entry.mode == "train":
            log(_words(entry), quiet)
    result({"plan": plan.to_json(), "folds": count,
            "predicted": predicted.to_json()["configurations"]}, as_json)


def _networks(plan: Plan, arch: str | None, width: str, experiment: str | None) -> list[tuple[str, str]]:
    """Return the (architecture, width) of each network to train."""
    from ..experiments import definition
    from ..models.widths import between

    arches = split_list(arch)
    if experiment and not arches:
        arches = definition.load(experiment)["arch"][plan.task]
    widths = [one for given in split_list(width)
              for one in (between(plan.network.feature_maps, plan.network.depth) if given == "caps" else [given])]
    return [(a, w) for a in arches or [plan.default_arch] for w in widths]


def _predicted(plan: Plan, networks: list[tuple[str, str]], name: str | None, *, patch: bool,
               batch: bool) -> tuple[Plan, Profile]:
    """Fit the plan to the device, if one is given; return it with the predictions for its networks."""
    from .. import backend

    backend.configure()
    from ..contracts.profile import Profile
    from ..contracts.provenance import Hardware
    from ..contracts.tasks import TASKS
    from ..planning import device as fit
    from ..profiling import devices, predict, sweep

    device = devices.load(name or devices.CPU)
    if name:
        patch = patch or TASKS[plan.task].resized
        plan = fit.fitted(plan, networks, device, patch=patch, batch=batch)
    wanted = [one for mode in ("train", "infer") for one in fit.configurations(plan, networks, mode)]
    return plan, Profile(Hardware(), tuple(sweep.entry(one, predict.describe(one, device)) for one in wanted))


def _words(entry: ProfiledConfiguration) -> str:
    """Format a prediction as text."""
    predicted = cast("Predicted", entry.predicted)
    share = 100 * predicted.device_memory_mib / predicted.usable_memory_mib
    return (f"{entry.arch} {entry.width} on {predicted.device}: about "
            f"{predicted.device_memory_mib:,.0f} MiB ({share:.0f} % of what there is) and "
            f"{predicted.step_seconds:.2f} s a training step")


if __name__ == "__main__":
    main()
