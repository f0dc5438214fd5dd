"""Hold the page of `pocket-export --html` beside `pocket-infer`: equal labels, processor seconds, size of the file.

Ten hippocampus cases by the network in `models/`, the same cases by a network of recipe `quick`, and three ACDC cases,
whose spacing differs from the network's, in 3D and slice by slice. All but the first network are trained for a few
steps here: what is compared is not their accuracy. The browser is Chromium with one thread of WebAssembly. Run it with
`make bench-browser`; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("POCKET_TEST_DATA", ROOT.parent / "shared" / "data"))
ENDED = "body[data-state=done], body[data-state=failed]"
HEARTS = ["--dataset", "decathlon"]
PLANS = {"hippocampus": (["--dataset", "hippocampus"], []), "acdc": (HEARTS, ["--configuration", "3d"]),
         "acdc-2d": (HEARTS, ["--configuration", "2d"])}
"""Options of pocket-check and pocket-plan."""
LEAST_EQUAL, MOST_BEST_S, MOST_QUICK_S, MOST_MIB = 0.9999, 10.0, 3.0, 30.0


def call(name: str, *arguments: object) -> None:
    subprocess.run([ROOT / "bin" / f"pocket-{name}", *map(str, arguments), "--quiet"], check=True)


def trained(kind: str, source: Path, work: Path) -> Path:
    """A network of recipe `quick`, trained for a few steps on eight cases."""
    data, out = work / f"{kind}-data", work / kind
    given = json.loads((source / "dataset.json").read_text())
    cases = given["training"] = given["training"][:8]
    given |= {"numTraining": len(cases), "test": [], "numTest": 0}
    for case in cases:
        for path in (case["image"], case["label"]):
            (data / path).parent.mkdir(parents=True, exist_ok=True)
            (data / path).symlink_to(source / path)
    (data / "dataset.json").write_text(json.dumps(given))
    checks, plans = PLANS[kind]
    call("check", *checks, "--input", data, "-o", out)
    manifest, plan, stores = out / "manifest.json", out / "plan.json", out / "stores"
    call("plan", "--manifest", manifest, "--fingerprint", out / "fingerprint.json", "--recipe", "quick", "--folds", 4,
         "--epochs", 1, "--steps-per-epoch", 12, "--batch", 1, *plans, "-o", out)
    call("preprocess", "--manifest", manifest, "--plan", plan, "--input", data, "-o", stores)
    call("train", "--plan", plan, "--splits", out / "splits.json", "--stores", stores, "--width", "pocket", "--fold", 0,
         "-o", out / "model")
    return out / "model"


def renderer_seconds() -> float:
    """Processor seconds of the renderers that this process has started, workers included."""
    parents, seconds = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            renders = b"--type=renderer" in (folder / "cmdline").read_bytes()
        except OSError:
            continue
        parents[int(folder.name)] = int(fields[1])
        if renders:
            seconds[int(folder.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ours(pid: int) -> bool:
        return pid == os.getpid() or (pid in parents and ours(parents[pid]))

    return sum(value for pid, value in seconds.items() if ours(pid))


def compared(page: Page, model: Path, image: Path, work: Path) -> dict[str, object]:
    """Segment an image in the page and by pocket-infer."""
    before = renderer_seconds()
    page.evaluate("document.body.dataset.state = 'asked'")
    page.set_input_files("#files", image)
    page.wait_for_selector(ENDED)
    seconds = renderer_seconds() - before
    with page.expect_download() as download:
        page.click("#download")
    download.value.save_as(work / "found.nii.gz")
    call("infer", "--model", model, image, "-o", work / "expected.nii.gz", "--overwrite")
    found, expected = (nib.load(work / f"{name}.nii.gz") for name in ("found", "expected"))
    a, b = np.asarray(found.dataobj), np.asarray(expected.dataobj)
    return {"case": image.name.split(".")[0], "voxels": a.size, "differ": int((a != b).sum()),
            "labels": len(np.unique(b)) - 1, "cpu_s": round(seconds, 2),
            "same_geometry": bool((found.affine == expected.affine).all())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10, help="hippocampus cases")
    parser.add_argument("--only", nargs="+", default=["best", "quick", "acdc", "acdc-2d"], help="networks")
    options = parser.parse_args()
    images = sorted((DATA / "Task04_Hippocampus/imagesTr").glob("*.nii.gz"))[: options.cases]
    hearts = [DATA / f"Task27_ACDC/imagesTr/{name}.nii.gz" for name in (
        "patient002_frame01", "patient050_frame01", "patient090_frame04")]
    figures: dict[str, object] = {}
    ok = True
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        work = Path(folder)
        browser = driver.chromium.launch(executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"),
                                         args=["--no-sandbox"])
        makes = {"best": lambda: ROOT / "models/hippocampus/fold1",
                 "quick": lambda: trained("hippocampus", DATA / "Task04_Hippocampus", work),
                 "acdc": lambda: trained("acdc", DATA / "Task27_ACDC", work),
                 "acdc-2d": lambda: trained("acdc-2d", DATA / "Task27_ACDC", work)}
        for name in options.only:
            model, file = makes[name](), work / f"{name}.html"
            call("export", "--model", model, "--html", file)
            page = browser.new_page()
            page.set_default_timeout(3_600_000)
            page.goto(file.as_uri())
            rows = []
            for image in hearts if name.startswith("acdc") else images:
                rows.append(compared(page, model, image, work))
                print(name, rows[-1], flush=True)
            page.close()
            members = len(list(model.glob("member*.provenance.json")))
            equal = min(1 - row["differ"] / row["voxels"] for row in rows)
            seconds = sorted(row["cpu_s"] for row in rows)[len(rows) // 2] / max(1, members)
            most = {"best": MOST_BEST_S, "quick": MOST_QUICK_S}.get(name)
            mib = file.stat().st_size / 2**20
            figures[name] = {"cases": len(rows), "least_equal": equal, "differ": sum(row["differ"] for row in rows),
                             "voxels": sum(row["voxels"] for row in rows), "file_mib": round(mib, 1),
                             "median_cpu_s_per_network": round(seconds, 2)}
            ok &= equal >= LEAST_EQUAL and mib < MOST_MIB and (most is None or seconds < most) \
                and all(row["same_geometry"] for row in rows)
    bound = (f"labels equal on {LEAST_EQUAL:.2%} of the voxels of each case, at most {MOST_BEST_S:g} s (best) and "
             f"{MOST_QUICK_S:g} s (quick) of a processor per network and case, file below {MOST_MIB:g} MiB")
    print(json.dumps({"figures": figures, "bound": bound, "ok": bool(ok)}))


if __name__ == "__main__":
    main()
