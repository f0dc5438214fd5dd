"""What a run survives by itself: the metrics of the undisturbed run, and no step that a checkpoint held twice."""

import pytest
from faults import STEPS
from harm import KILLED, LIMITED, LOST, MINUTES


@pytest.fixture(scope="module")
def run(disturbed):
    return disturbed.result()[0]


@pytest.fixture(scope="module")
def seen(disturbed):
    return disturbed.result()[1]


def jobs(run, fold):
    """What SLURM has recorded of a fold's trainings, in order."""
    return [job for job in run.finished_jobs() if job["step"] == "TRAIN" and f"-fold{fold})" in job["Name"]]


def states(run, fold):
    return [job["JobState"] for job in jobs(run, fold)]


def memory(job):
    return job["Tres"].split("mem=")[1].split(",")[0]


def attempts(run, fold):
    return run.provenance(fold)["attempts"]


@pytest.mark.parametrize("fold", [KILLED, LOST, LIMITED])
def test_the_metrics_are_those_of_the_undisturbed_run(run, undisturbed, fold):
    both = (undisturbed.result(), run)
    expected, found = ([row for row in one.metrics() if row["fold"] == str(fold)] for one in both)
    assert expected and found == expected


@pytest.mark.parametrize("fold", [KILLED, LOST, LIMITED])
def test_no_step_before_the_last_checkpoint_runs_again(run, fold):
    made = attempts(run, fold)
    assert made[0]["first_step"] == 1 and made[-1]["last_step"] == STEPS and made[-1]["ended"] == "finished"
    for before, after in zip(made, made[1:], strict=False):
        assert after["first_step"] == before["last_step"] + 1


def test_sigkill_sigterm_and_a_killed_job_with_a_torn_checkpoint(run, seen):
    took, torn = seen[KILLED]
    assert took < 300  # on a busy machine
    made = attempts(run, KILLED)
    assert [attempt["ended"] for attempt in made] == ["killed", "stopped", "killed", "finished"]
    assert made[2]["last_step"] == torn - 1  # the checkpoint before the torn one
    records = jobs(run, KILLED)
    assert [job["JobState"] for job in records] == ["FAILED"] * 3 + ["COMPLETED"]
    assert [job["ExitCode"] for job in records[:2]] == ["137:0", "75:0"]
    # Killed alone: as a rule for memory. Stopped, or killed without a word from SLURM: as before.
    assert [memory(job) for job in records] == ["3G", "6G", "6G", "6G"]


def test_preemption_node_failure_and_a_restarted_slurmd(run):
    assert states(run, LOST) == ["PREEMPTED", "NODE_FAIL", "COMPLETED"]
    assert [attempt["ended"] for attempt in attempts(run, LOST)] == ["stopped", "killed", "finished"]
    assert {memory(job) for job in jobs(run, LOST)} == {"3G"}


def test_memory_limit(run):
    records = jobs(run, LIMITED)
    assert [memory(job) for job in records[:2]] == ["300M", "600M"] and records[0]["JobState"] == "FAILED"


def test_time_limit(run, seen):
    records = jobs(run, LIMITED)
    slow, hanging = (next(job for job in records if job["JobId"] == number) for number in seen[LIMITED])
    assert slow["TimeLimit"] == str(MINUTES) and slow["JobState"] == "FAILED" and slow["ExitCode"] in ("75:0", "140:0")
    # SLURM warns half a minute before, and Nextflow's wrapper then ends the job with 140, where the machine is not too
    # busy for it.
    assert hanging["TimeLimit"] == "1" and (hanging["JobState"] == "TIMEOUT" or hanging["ExitCode"] == "140:0")
    assert records[-1]["JobState"] == "COMPLETED"
    after = records[records.index(hanging) + 1]
    assert memory(slow) == memory(hanging) == memory(after)
    ended = [attempt["ended"] for attempt in attempts(run, LIMITED)]
    # The hanging one too: SLURM sends SIGCONT with its SIGTERM. On a busy machine there are more in between.
    assert ended[0] == "stopped" and set(ended[1:-1]) <= {"stopped", "killed"} and len(ended) >= 3


def test_a_killed_part_of_a_job_array_runs_again_alone(run):
    records = [job for job in run.finished_jobs() if job["step"] == "PREPROCESS"]
    assert sorted(job["JobState"] for job in records) == ["COMPLETED", "COMPLETED", "FAILED"]
    assert {memory(job) for job in records} == {"4G"}
