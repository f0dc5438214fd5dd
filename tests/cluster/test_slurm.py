"""The pipeline as SLURM jobs: what SLURM was asked for, and what it gave."""

from faults import FOLDS


def test_gpu_steps_are_on_gpus_and_the_others_are_not(undisturbed):
    jobs = undisturbed.result().finished_jobs()
    assert {job["step"] for job in jobs} == {"VERSIONS", "CHECK", "PLAN", "PREPROCESS", "TRAIN", "INFER", "EVALUATE",
                                             "CALIBRATE", "CARD", "COMPARE", "REPORT", "COLLECT", "PICTURE"}
    for job in jobs:
        on_gpu = job["step"] in ("TRAIN", "INFER")
        assert job["Gres"] == ("gpu:t4:1" if on_gpu else "(null)"), job
        assert job["Partition"] == job["NodeList"] == ("gpu" if on_gpu else "cpu"), job
        assert job["Account"] == "imaging" and job["JobState"] == "COMPLETED", job
    times = {job["step"]: (job["TimeLimit"], job["Tres"].split(",")[1]) for job in jobs}
    assert times["TRAIN"] == ("1440", "mem=3G") and times["PREPROCESS"] == ("240", "mem=4G")
    assert times["INFER"] == ("1440", "mem=6G") and times["PLAN"] == ("60", "mem=2G")


def test_scattered_steps_are_job_arrays(undisturbed):
    with open(max((undisturbed.result().folder / "results/demo/pipeline_info").glob("trace_*"))) as handle:
        header, *lines = [line.rstrip("\n").split("\t") for line in handle]
    ids = {}
    for line in lines:
        row = dict(zip(header, line, strict=True))
        ids.setdefault(row["name"].split(":")[-1].split(" ")[0], set()).add(row["native_id"])
    assert {job.split("_")[1] for job in ids["PREPROCESS"]} == {"0", "1"}
    assert len({job.split("_")[0] for job in ids["PREPROCESS"]}) == 1
    assert len({job.split("_")[0] for job in ids["INFER"]}) == 1 and len(ids["INFER"]) == FOLDS
    assert not any("_" in job for job in ids["TRAIN"] | ids["EVALUATE"])
