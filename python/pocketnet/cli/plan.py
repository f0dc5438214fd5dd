"""`pocket-plan`: choose patch, depth and recipe, and split the cases into folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from ..text import counted
from .common import batch_size, command, integers, json_option, log, output_option, quiet_option, result, split_list

if TYPE_CHECKING:
    from ..contracts.manifest import Manifest
    from ..contracts.plan import Plan
    from ..contracts.profile import Predicted, ProfiledConfiguration
    from ..contracts.splits import Splits

IN_2D = "plan-2d.json"
"""The plan of 2D networks beside `plan.json`, if both configurations are trained."""

EXAMPLES = """
pocket-plan --manifest out/manifest.json --fingerprint out/fingerprint.json --recipe quick -o out
pocket-plan --manifest out/manifest.json --fingerprint out/fingerprint.json --patch 32,48,32 --folds 3 -o out
pocket-plan --manifest out/manifest.json --fingerprint out/fingerprint.json --training-sizes 8,16,32 -o out
pocket-plan --manifest out/manifest.json --fingerprint out/fingerprint.json --splits splits_final.json -o out
pocket-plan --manifest out/manifest.json --fingerprint out/fingerprint.json --start-from models/unet-pocket/fold0 -o out
pocket-plan --manifest out/manifest.json --fingerprint out/fingerprint.json --postprocessing largest -o out
pocket-plan --manifest out/manifest.json --fingerprint out/fingerprint.json --configuration 2d,3d -o out
pocket-plan --manifest out/manifest.json --fingerprint out/fingerprint.json --recipe best --budget 60 -o out
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
@click.option("--budget", type=click.FloatRange(min=0, min_open=True), metavar="MINUTES",
              help="Make as many steps as a training of the slowest network makes in this time on --device, by the "
                   "predicted time of a step, instead of the recipe's number.")
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
@click.option("--configuration", metavar="2d|3d|auto|2d,3d",
              help="2d (slice by slice), 3d, or 2d,3d to train both, which pocket-compare --models chooses from by "
                   "validation Dice. auto: both for volumes with few slices far apart, else 3d; single slices are "
                   "always 2d. Default: the recipe's.")
@click.option("--edited", type=click.Path(path_type=Path),
              help="Your edited plan.json. It is checked against the data and used unchanged.")
@click.option("--batches", metavar="N|auto", help="Also write batches/, manifests of parts of the cases, N cases each, "
              "for the tasks of the pipeline. auto: a number that suits the dataset.")
@output_option("Folder for plan.json, splits.json and predicted.json. For 2d,3d, plan.json is the 3D plan, and "
               "plan-2d.json the other.")
@quiet_option
@json_option
def main(manifest: Path, fingerprint: Path, recipe: str, folds: int, seed: int, patch: str | None, batch: int | None,
         epochs: int | None, steps_per_epoch: int | None, budget: float | None, depth: int | None,
         feature_maps: int | None, loss: str | None,
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
    from ..contracts.profile import Profile
    from ..contracts.provenance import Hardware
    from ..errors import UsageError
    from ..experiments import definition
    from ..planning import batches as in_batches
    from ..planning.folds import labelled, shared_images, split_cases, split_into_subsets
    from ..planning.given import given_splits
    from ..planning.plan import PlanOverrides, make_plan, make_plans, without_augmentation
    from ..planning.preprocessing import check_belongs
    from ..planning.splits import splits as with_constants
    from ..training.start import adjusted

    size = batch_size(batches)
    outputs.check_files({output / "plan.json": "plan", output / IN_2D: "plan", output / "splits.json": "splits",
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
    if budget and (steps_per_epoch or edited):
        raise UsageError(f"--budget and {'--edited' if edited else '--steps-per-epoch'} both set the number of steps.",
                         todo="Give one of them.")
    prints = Fingerprint.read(fingerprint)
    check_belongs(prints, cases, fingerprint)
    names = split_list(configuration)
    alone = _alone(names, {"--edited": edited, "--start-from": start_from, "--experiment": experiment,
                           "--training-sizes": training_sizes})
    overrides = PlanOverrides(
        patch=integers(patch, "--patch"), batch=batch, epochs=epochs, steps_per_epoch=steps_per_epoch, depth=depth,
        feature_maps=feature_maps, loss=loss, precision=precision, accumulate=accumulate,
        rematerialise=rematerialise, postprocessing=postprocessing, mirroring=mirroring,
        configuration=",".join(names) or None)
    if edited:
        plans = [_edited(edited, cases)]
    elif alone:
        plans = [make_plan(cases, prints, recipe, seed=seed, overrides=overrides)]
    else:  # the 3D plan first
        plans = list(reversed(make_plans(cases, prints, recipe, seed=seed, overrides=overrides)))
    if start_from:
        plans = [_started(start_from, plan, edited=bool(edited)) for plan in plans]
    plans = [adjusted(plan, learning_rate=learning_rate) for plan in plans]
    fitted = [_predicted(plan, _networks(plan, arch, width, experiment), device, budget,
                         patch=bool(patch or edited), batch=bool(batch or edited)) for plan in plans]
    plans = [without_augmentation(plan) if no_augmentation else plan for plan, _ in fitted]
    plan = plans[0]
    predicted = Profile(Hardware(), tuple(entry for _, entries in fitted for entry in entries))
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
    for other in plans[1:]:
        other.write(output / IN_2D)
    if len(plans) == 1:
        outputs.remove_earlier(output, IN_2D)
    predicted.write(output / "predicted.json")
    splits.write(output / "splits.json")
    if batches:
        in_batches.write(cases, splits, size, output / "batches")
    for one in plans:
        if one.configuration:
            log(f"Configuration {one.configuration.name}: {one.configuration.reason}.", quiet)
        log(_described(one, splits, sizes=bool(training_sizes)), quiet)
    if len(plans) > 1:
        log(f"plan.json is the 3D plan, {IN_2D} the 2D plan. Train both; pocket-compare --models chooses by the "
            "validation Dice.", quiet)
    for entry in predicted.configurations:
        if entry.mode == "train":
            log(_words(entry), quiet)
    result({"plan": plan.to_json(), "folds": len(splits.folds), "predicted": predicted.to_json()["configurations"]}
           | ({"plan_2d": plans[1].to_json()} if len(plans) > 1 else {}), as_json)


def _edited(path: Path, cases: Manifest) -> Plan:
    """Return the user's plan; its configuration is then the only one."""
    from ..contracts.plan import Plan
    from ..planning.plan import check_edited

    plan = Plan.read(path)
    check_edited(plan, cases, path)
    return replace(plan, configuration=plan.configuration and replace(plan.configuration, beside=None))


def _alone(names: Sequence[str], given: dict[str, object]) -> bool:
    """Return whether options were given that allow one configuration only.

    Raises:
        UsageError: They were, and two configurations are wanted.
    """
    from ..errors import UsageError

    options = [option for option, value in given.items() if value]
    if options and len(names) > 1:
        raise UsageError(f"{options[0]} allows one configuration only.", where=f"--configuration {','.join(names)}",
                         todo=f"Give one of them, or leave {options[0]} out.")
    return bool(options)


def _started(folder: Path, plan: Plan, *, edited: bool) -> Plan:
    """Return the plan with the structure of the network to start from; an edited one has to have it.

    Raises:
        UsageError: The network is of the other configuration, or as `Start.check`.
    """
    from ..errors import UsageError
    from ..training.start import Start

    start = Start.open(folder)
    if edited:
        start.check(plan)
        return plan
    source, chosen = start.model.plan, plan.configuration
    found = f"{source.network.convolved_dimensions}d"
    if source.task == plan.task and chosen and found != chosen.name:
        raise UsageError(f"The network to start from is {found.upper()}, the plan is {chosen.name.upper()}: "
                         f"{chosen.reason}.", where=str(folder),
                         todo=f"Give --configuration {found}, or start from a network in {chosen.name.upper()}.")
    return start.structured(plan)


def _described(plan: Plan, splits: Splits, *, sizes: bool) -> str:
    """Describe a plan and its folds, or nested training sets (`sizes`)."""
    training, largest, count = plan.training, splits.folds[-1], len(splits.folds)
    words = f"{counted(count, 'training set')} of up to" if sizes else f"{counted(count, 'fold')} of about"
    return (f"Plan for {plan.dataset}, recipe {plan.recipe}: patch {'×'.join(map(str, training.patch))}, "
            f"batch {training.batch}, depth {plan.network.depth}, {plan.network.feature_maps} first feature maps, "
            f"{counted(training.steps, 'step')}; {words} {len(largest.train)} training, "
            f"{len(largest.validation)} validation and {len(largest.test)} test cases.")


def _networks(plan: Plan, arch: str | None, width: str, experiment: str | None) -> list[tuple[str, str]]:
    """Return the (architecture, width) of each network to train."""
    from ..experiments import definition
    from ..models.widths import between

    arches = split_list(arch)
    if experiment and not arches:
        arches = definition.load(experiment)["arch"][plan.task]
    widths = [one for given in split_list(width)
              for one in (between(plan.network.feature_maps, plan.network.depth) if given == "caps" else [given])]
    return [(a, plan.named(w)) for a in arches or [plan.default_arch] for w in widths]


def _predicted(plan: Plan, networks: list[tuple[str, str]], name: str | None, budget: float | None, *, patch: bool,
               batch: bool) -> tuple[Plan, list[ProfiledConfiguration]]:
    """Fit the plan to the device, if one is given, and to the budget; return it with its networks' predictions."""
    from .. import backend

    backend.configure()
    from ..contracts.tasks import TASKS
    from ..planning import budget as time
    from ..planning import device as fit
    from ..profiling import devices, predict, sweep

    device = devices.load(name or devices.CPU)
    if name:
        patch = patch or TASKS[plan.task].resized
        plan = fit.fitted(plan, networks, device, patch=patch, batch=batch)
    if budget:
        plan = time.within(plan, networks, device, budget)
    wanted = [one for mode in ("train", "infer") for one in fit.configurations(plan, networks, mode)]
    return plan, [sweep.entry(one, predict.describe(one, device)) for one in wanted]


def _words(entry: ProfiledConfiguration) -> str:
    """Format a prediction as text."""
    predicted = cast("Predicted", entry.predicted)
    share = 100 * predicted.device_memory_mib / predicted.usable_memory_mib
    return (f"{entry.arch} {entry.width} on {predicted.device}: about "
            f"{predicted.device_memory_mib:,.0f} MiB ({share:.0f} % of what there is) and "
            f"{predicted.step_seconds:.2f} s a training step")


if __name__ == "__main__":
    main()
