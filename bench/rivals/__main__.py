"""The field's own tools beside ours: Dice, surface distances, memory and parameters at equal processor time.

Each tool (`--tools`) prepares a dataset once and is trained on the same folds, by its own commands in an environment of
its own. Two short trainings tell what a step costs; they do not count. Then the epochs and steps are chosen so that the
whole schedule of the learning rate ends at the budget (`--budgets`, in core-minutes: user and system time of a training
command and of all processes that it starts). The test cases are segmented by the tool's own command and measured by
this project's metrics. Every training is a line in RECORDS/rows.jsonl, every short one a line in RECORDS/trials.jsonl;
what is there already is not done again.

    make bench-rivals
    make bench-rivals BENCH_ARGS="--datasets hippocampus --folds 0 --budgets 10 --tools ours,mist"
    PYTHONPATH=python:bench .venv/bin/python -m rivals --table

Prints the tables, and on the last line one JSON object: figures, bounds, what is missing, and `ok`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

from . import report, schedule, usage
from .datasets import DATASETS, Data, folds, scores
from .dynunet import DynUNet
from .mist import Mist
from .nnunet import NnUNet
from .ours import Ours, OursTwo
from .tool import REPOSITORY, SEED, THREADS, Tool, Work

TOOLS: dict[str, Tool] = {tool.name: tool for tool in (Ours(), OursTwo(), Mist(), NnUNet(), DynUNet())}
ROOT = Path(os.environ.get("POCKET_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
RECORDS = REPOSITORY / "docs" / "results" / "rivals"


def lines(path: Path) -> list[dict]:
    """Read a file of JSON lines; none if it is absent."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def append(path: Path, line: dict) -> None:
    """Add a JSON line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as handle:
        handle.write(json.dumps(line) + "\n")


def is_of(line: dict, **keys: object) -> bool:
    """Whether a line has these values."""
    return all(line[name] == value for name, value in keys.items())


def prepared(tool: Tool, work: Work) -> None:
    """Let a tool prepare the dataset unless it has; what that used is in `prepared.json`."""
    done = work.common / "prepared.json"
    if done.is_file():
        return
    work.common.mkdir(parents=True, exist_ok=True)
    done.write_text(json.dumps(tool.prepare(work).json()))


def price(tool: Tool, work: Work, records: Path) -> schedule.Cost:
    """The cost of the tool's trainings, from all that is recorded; two short trainings if nothing is."""
    keys = {"kind": tool.kind, "dataset": work.data.dataset.name}

    def known() -> list[tuple[int, float]]:
        return [(line["steps"], line["training"]["cpu_seconds"]) for line in lines(records / "trials.jsonl")
                if is_of(line, **keys)]

    for trial in tool.trials(work):
        if trial.steps not in (steps for steps, _ in known()):
            used = tool.train(work, trial)
            append(records / "trials.jsonl", keys | {"fold": work.fold, **asdict(trial), "steps": trial.steps,
                                                     "training": used.json()})
    rows = [(line["steps"] // line["members"], line["training"]["cpu_seconds"] / line["members"])
            for line in lines(records / "rows.jsonl") if is_of(line, **keys) and line["steps"]]
    return schedule.cost(known() + rows)


def train(tool: Tool, work: Work, budget: float, records: Path) -> dict:
    """Train a fold within a budget, segment its test cases and measure them.

    Returns:
        The row; `cannot` says why there are no results.
    """
    row = {"tool": tool.name, "kind": tool.kind, "members": tool.members, "dataset": work.data.dataset.name,
           "fold": work.fold, "budget_core_minutes": budget, "version": tool.version(), "seed": SEED,
           "threads": THREADS, "notes": tool.notes, "steps": 0}
    prepared(tool, work)
    first = replace(work, run=work.run / "trial")
    first.run.mkdir(parents=True, exist_ok=True)
    cost = price(tool, first, records)
    chosen = schedule.fitting(budget * 60 / tool.members, cost, tool.epochs(work))
    if chosen is None:
        return row | {"cannot": f"its shortest training takes more than the budget: {asdict(cost)}"}
    works = [replace(work, run=work.run / f"member{number}", member=number) for number in range(tool.members)]
    training = []
    for one in works:
        one.run.mkdir(parents=True, exist_ok=True)
        done = one.run / "trained.json"
        if not done.is_file():
            done.write_text(json.dumps(tool.train(one, chosen).json() | asdict(chosen)))
        training.append(json.loads(done.read_text()))
    found = training[0]
    output = work.run / "predictions"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    prediction = tool.predict(works, output)
    test = work.folds[work.fold].test
    return row | {
        "epochs": found["epochs"], "steps_per_epoch": found["steps_per_epoch"],
        "steps": tool.members * found["epochs"] * found["steps_per_epoch"],
        "parameters": sum(tool.parameters(one) for one in works),
        "preparation": json.loads((work.common / "prepared.json").read_text()), "training": usage.total(training),
        "prediction": prediction.json(), "cases": list(test), **scores(work.data, test, output)}


def splits(data: Data, folder: Path) -> Path:
    """Make the folds by this project's commands, for all tools, unless they are there; return `splits.json`."""
    ours = TOOLS["ours"]
    prepared(ours, Work(data, [], folder / ours.kind, folder))
    return folder / ours.kind / "splits.json"


def work_through(args: argparse.Namespace) -> None:
    """Do all trainings that are asked for and not recorded; a tool that fails is reported, and the next one follows."""
    for name in args.datasets:
        data, base = Data.at(ROOT, name), args.work / name
        parts = folds(splits(data, base))
        for budget in args.budgets or DATASETS[name].budgets:
            for fold in args.folds:
                for tool in (TOOLS[one] for one in args.tools):
                    key = {"tool": tool.name, "dataset": name, "fold": fold, "budget_core_minutes": budget}
                    if any(is_of(line, **key) for line in lines(args.records / "rows.jsonl")):
                        continue
                    work = Work(data, parts, base / tool.kind, base / tool.name / f"fold{fold}-{budget}", fold)
                    print(f"{name}, fold {fold}, {budget} core-minutes: {tool.title} …", file=sys.stderr, flush=True)
                    try:
                        append(args.records / "rows.jsonl", train(tool, work, budget, args.records))
                    except RuntimeError as error:
                        print(f"{tool.title}: {error}", file=sys.stderr, flush=True)


def main() -> None:
    """Do what is asked for and print the tables."""
    def names(text: str) -> list[str]:
        return text.split(",")

    def numbers(text: str) -> list[int]:
        return [int(word) for word in text.split(",")]

    parser = argparse.ArgumentParser(prog="rivals", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=names, default=list(DATASETS))
    parser.add_argument("--tools", type=names, default=list(TOOLS))
    parser.add_argument("--folds", type=numbers, default=[0])
    parser.add_argument("--budgets", type=numbers, help="core-minutes a fold; else each dataset's")
    parser.add_argument("--work", type=Path, default=REPOSITORY / "results" / "bench-rivals", help="scratch folder")
    parser.add_argument("--records", type=Path, default=RECORDS, help="folder of rows.jsonl and trials.jsonl")
    parser.add_argument("--table", action="store_true", help="only the tables and the figure, from the records")
    args = parser.parse_args()
    args.work = args.work.resolve()
    if not args.table:
        if not ROOT.is_dir():
            sys.exit(f"no data at {ROOT}; set POCKET_TEST_DATA")
        work_through(args)
    rows = lines(args.records / "rows.jsonl")
    titles = {name: tool.title for name, tool in TOOLS.items()}
    print(report.tables(rows, titles))
    report.draw(rows, titles, args.records)
    print(json.dumps(report.summary(rows, list(TOOLS))))


if __name__ == "__main__":
    main()
