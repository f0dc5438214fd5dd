"""`pocket-collect`: copy a run's records into an MLflow store."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from .common import command, json_option, quiet_option, result


@command("collect", examples="""
pocket-collect --models models --evaluations evaluation --comparison comparison --report report.html
pocket-collect --models models --evaluations evaluation --mlflow-uri sqlite:////data/results/mlflow/mlflow.db
pocket-collect --models models --evaluations evaluation --mlflow-uri http://127.0.0.1:5000
""")
@click.option("--models", multiple=True, type=click.Path(path_type=Path),
              help="A model folder or a folder of them; repeatable.")
@click.option("--evaluations", multiple=True, type=click.Path(path_type=Path),
              help="An output folder of pocket-evaluate or a folder of them; repeatable.")
@click.option("--comparison", type=click.Path(path_type=Path), help="Output folder of pocket-compare.")
@click.option("--report", type=click.Path(path_type=Path), help="Page written by pocket-report.")
@click.option("--figures", type=click.Path(path_type=Path), help="Figures folder of pocket-report --figures.")
@click.option("--manifest", type=click.Path(path_type=Path), help="manifest.json of the dataset, for its checksum.")
@click.option("--mlflow-uri", default="sqlite:///mlflow/mlflow.db", show_default=True,
              help="sqlite:///<file> or http(s)://<server>.")
@quiet_option
@json_option
def main(models: tuple[Path, ...], evaluations: tuple[Path, ...], comparison: Path | None, report: Path | None,
         figures: Path | None, manifest: Path | None, mlflow_uri: str, quiet: bool, as_json: bool) -> None:
    """Copy a run's records into an MLflow store. Repeating the command adds no duplicates.

    If the store cannot be reached, the command only warns. The records stay where they are and can be collected
    later. Records that are not as they were written are left out, and the command ends with exit code 3.
    """
    from ..contracts.manifest import Manifest
    from ..errors import PocketError, UsageError
    from ..tracking.collect import Extras, collect
    from ..tracking.records import read_optional, read_run, refuse_altered
    from ..tracking.store import Store, refuse_credentials

    refuse_credentials(mlflow_uri)
    run = read_run(models, evaluations, comparison)
    if not run.models and run.comparison is None:
        refuse_altered(run)
        raise UsageError("There is nothing to collect: " + ("; ".join(run.problems) or "no folder was given") + ".",
                         todo="Give --models, --evaluations and --comparison.")
    if report is not None and not report.is_file():
        run.problems.append(f"report: not found at {report}")
        report = None
    described = read_optional(run, manifest, Manifest)
    for problem in run.problems:
        click.secho(f"Warning: {problem}", fg="yellow", err=True)
    try:
        store = Store(mlflow_uri)
        collected = collect(run, store, Extras(report, figures, described))
    except Exception as error:  # a tracking error must not fail a run that has its results
        reason = error.what if isinstance(error, PocketError) else f"{type(error).__name__}: {_first_line(error)}"
        click.secho(f"Warning: The runs could not be tracked at {mlflow_uri}.\n  why: {reason}\n"
                    "  what to do: The records are kept in the folders given; run pocket-collect again with an "
                    "address that works.", fg="yellow", err=True)
        result({"tracked": False, "mlflow_uri": mlflow_uri, "reason": reason}, as_json)
        refuse_altered(run)
        return
    opening = (f"mlflow ui --backend-store-uri {shlex.quote(store.uri)} --host 127.0.0.1" if store.database
               else store.uri)
    text = (f"{collected.new} runs added, {collected.known} known already, experiment "
            f"{', '.join(collected.experiments)}\nTo look at them: {opening}")
    result({"tracked": True, "mlflow_uri": store.uri, "new": collected.new, "known": collected.known,
            "experiments": collected.experiments, "open": opening}, as_json, text, quiet)
    refuse_altered(run)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:300]


if __name__ == "__main__":
    main()
