"""Which store format reads random patches fastest, and what does it cost on disk?

Real volumes are written in each format, then the same random patches are read from each in turn, several
times over, so that a noisy neighbour slows all alike. Figures are ratios to the plain memory map in the same
run. Then: what does it cost to verify stores, beside the training steps that read them? Run it with
`make bench-store`; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import blosc2
import h5py
import numpy as np
from pocketnet.preprocessing import store
from pocketnet.preprocessing.boxes import crop
from pocketnet.preprocessing.case import Prepared
from pocketnet.preprocessing.scan import read_scan

BATCH = 2  # patches a training step
CASES, TRAINING = 300, 800  # stores of a training, each verified at its start, and steps (recipe `quick`: 16 × 50)
STEPS = 12  # steps to time
BOUND = {"time_ratio": 25, "size_ratio": 0.9, "share_of_step": 0.01, "share_of_training": 0.01}
ROOT = Path(os.environ.get("POCKET_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


def memory_map(path: Path, image: np.ndarray):
    np.save(path.with_suffix(".npy"), image)
    return path.with_suffix(".npy"), np.load(path.with_suffix(".npy"), mmap_mode="r")


def blosc(codec: blosc2.Codec, level: int, block: int):
    def make(path: Path, image: np.ndarray):
        tail = image.shape[3:]
        blosc2.asarray(image, urlpath=str(path), mode="w", chunks=tuple(min(64, n) for n in image.shape[:3]) + tail,
                       blocks=tuple(min(block, n) for n in image.shape[:3]) + tail,
                       cparams={"codec": codec, "clevel": level, "nthreads": 1, "filters": [blosc2.Filter.SHUFFLE]})
        return path, blosc2.open(str(path), mode="r")
    return make


def hdf5(compression: str | None):
    def make(path: Path, image: np.ndarray):
        chunks = tuple(min(32, n) for n in image.shape[:3]) + image.shape[3:]
        with h5py.File(path, "w") as file:
            file.create_dataset("image", data=image, chunks=chunks, compression=compression, shuffle=bool(compression))
        return path, h5py.File(path, "r")["image"]
    return make


FORMATS = {
    "memory map (.npy)": memory_map,
    "Blosc2 LZ4, blocks 16": blosc(blosc2.Codec.LZ4, 5, 16),
    "Blosc2 LZ4, blocks 32": blosc(blosc2.Codec.LZ4, 5, 32),
    "Blosc2 Zstandard, blocks 16": blosc(blosc2.Codec.ZSTD, 5, 16),
    "Blosc2 Zstandard, blocks 32": blosc(blosc2.Codec.ZSTD, 5, 32),
    "HDF5 gzip, chunks 32": hdf5("gzip"),
    "HDF5, chunks 32": hdf5(None),
}


def volumes(name: str) -> list[np.ndarray]:
    """Cropped float32 volumes (x, y, z, channel) of a real dataset."""
    if name == "brats":
        cases = [[c / f"{c.name}_{m}.nii.gz" for m in ("flair", "t1ce")]
                 for c in sorted((ROOT / "BraTS2015_sample").iterdir()) if c.is_dir()]
    else:
        cases = [[p] for p in sorted((ROOT / "Task04_Hippocampus" / "imagesTr").glob("*.nii.gz"))[:20]]
    scans = (read_scan(case) for case in cases)
    return [np.ascontiguousarray(crop(scan.read(np.s_[:, :, :]), scan.foreground_box())) for scan in scans]


def measure(name: str, patch: tuple[int, ...], patches: int, rounds: int) -> list[dict]:
    images = volumes(name)
    raw = sum(image.nbytes for image in images)
    rng = np.random.default_rng(0)
    starts = []
    for _ in range(patches):
        case = int(rng.integers(len(images)))
        starts.append((case, tuple(int(rng.integers(max(1, n - p + 1)))
                                   for n, p in zip(images[case].shape, patch, strict=False))))
    with tempfile.TemporaryDirectory() as folder:
        opened, sizes = {}, {}
        for label, make in FORMATS.items():
            made = [make(Path(folder) / f"{len(opened)}-{i}.store", image) for i, image in enumerate(images)]
            opened[label] = [array for _, array in made]
            sizes[label] = sum(path.stat().st_size for path, _ in made)
        seconds: dict[str, list[float]] = {label: [] for label in FORMATS}
        for _ in range(rounds):
            for label, arrays in opened.items():
                begin = time.perf_counter()
                for case, start in starts:
                    part = arrays[case][tuple(slice(s, s + p) for s, p in zip(start, patch, strict=True))]
                    np.ascontiguousarray(part).sum()
                seconds[label].append((time.perf_counter() - begin) / patches)
    base = statistics.median(seconds["memory map (.npy)"])
    return [{"data": name, "patch": list(patch), "format": label, "ms_per_patch": round(1e3 * statistics.median(s), 3),
             "time_ratio": round(statistics.median(s) / base, 2), "size_ratio": round(sizes[label] / raw, 3)}
            for label, s in seconds.items()]


def verify(name: str, patch: tuple[int, ...]) -> dict:
    """What it costs to verify stores: once in a process, and at the patches of a training step; beside real steps."""
    images = volumes(name)
    with tempfile.TemporaryDirectory() as folder:
        stores = []
        for index, image in enumerate(images):
            shape = image.shape[:3]
            prepared = Prepared(image, (1.0, 1.0, 1.0), shape, tuple((0, n) for n in shape), ())
            label = (image[..., 0] > np.median(image[..., 0])).astype(np.uint8)
            stores.append(store.Store(store.write_store(folder, f"case {index}", [], prepared, label, {"one": 1})))
        size = sum(path.stat().st_size for one in stores for path in one.folder.glob("*.b2nd"))
        begin = time.process_time()
        store.verify_stores(stores)
        once = (time.process_time() - begin) / len(stores)
        later, reading = [], []
        for one in stores * 10:
            begin = time.perf_counter()
            one.verify()
            later.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            one.read_image((0, 0, 0), patch), one.read_label((0, 0, 0), patch)
            reading.append(time.perf_counter() - begin)
        step = step_seconds(stores, patch, images[0].shape[3])
    check = statistics.median(later)
    return {"data": name, "patch": list(patch), "megabytes_per_store": round(size / len(stores) / 1e6, 2),
            "ms_once_per_store": round(1e3 * once, 2), "megabytes_per_second": round(size / len(stores) / once / 1e6),
            "microseconds_per_patch": round(1e6 * check, 1), "ms_per_patch": round(1e3 * statistics.median(reading), 2),
            "ms_per_step": round(1e3 * step), "share_of_step": round(BATCH * check / step, 6),
            "share_of_training": round((CASES * once + TRAINING * BATCH * check) / (TRAINING * step), 6)}


def step_seconds(stores: list[store.Store], patch: tuple[int, ...], channels: int) -> float:
    """The median time of a training step of the pocket U-Net of recipe `quick` on patches of the stores."""
    from pocketnet import backend
    from pocketnet.models.build import build
    from pocketnet.models.network import Network
    from pocketnet.training.compile import compile_for_training

    backend.configure(os.cpu_count(), 0)
    model = build(Network(channels=channels, classes=2, depth=3, feature_maps=16))
    compile_for_training(model, "l2_dice", 1e-3, None)
    seconds = []
    for number in range(STEPS + 3):
        chosen = [stores[(number * BATCH + one) % len(stores)] for one in range(BATCH)]
        image = np.stack([one.read_image((0, 0, 0), patch, lambda values: values / 1000) for one in chosen])
        label = np.stack([one.read_label((0, 0, 0), patch) for one in chosen])
        begin = time.perf_counter()
        model.train_on_batch(image, label)
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[3:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patches", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if not ROOT.is_dir():
        sys.exit(f"no data at {ROOT}; set POCKET_TEST_DATA")
    rows = [row for name, patch in (("brats", (64, 64, 64)), ("brats", (128, 128, 128)), ("hippocampus", (32, 48, 32)))
            for row in measure(name, patch, arguments.patches, arguments.rounds)]
    print(f"{'data':12} {'patch':>12} {'format':30} {'ms/patch':>9} {'time ÷ map':>10} {'size ÷ raw':>10}")
    for row in rows:
        print(f"{row['data']:12} {'×'.join(map(str, row['patch'])):>12} {row['format']:30} {row['ms_per_patch']:9.3f} "
              f"{row['time_ratio']:10.2f} {row['size_ratio']:10.3f}")
    verified = [verify("brats", (64, 64, 64)), verify("hippocampus", (32, 48, 32))]
    for row in verified:
        print(f"{row['data']:12} verified once: {row['ms_once_per_store']} ms for {row['megabytes_per_store']} MB; at "
              f"each later reading of {row['ms_per_patch']} ms: {row['microseconds_per_patch']} µs; a training step "
              f"takes {row['ms_per_step']} ms: {row['share_of_step']:.3%} of it, {row['share_of_training']:.3%} of "
              f"{TRAINING} steps on {CASES} cases")
    chosen = [row for row in rows if row["format"] == "Blosc2 LZ4, blocks 16"]
    print(json.dumps({"figures": chosen, "verified": verified, "bound": BOUND, "ok": all(
        row[name] <= bound for row in (*chosen, *verified) for name, bound in BOUND.items() if name in row)}))


if __name__ == "__main__":
    main()
