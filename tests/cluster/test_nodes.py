"""A training on two nodes of one machine, by the pipeline on SLURM."""

from faults import STEPS
from slurm import PAIR


def test_a_killed_worker_of_two_nodes(on_two_nodes):
    run = on_two_nodes.result()
    first, second = [job for job in run.finished_jobs() if job["step"] == "TRAIN"]
    for job in (first, second):
        assert (job["NodeList"], job["NodeCnt"], job["Partition"]) == (",".join(PAIR), "2", "pair")
    # The other worker ended with 104, because it lost the killed one. The cause counts: as a rule, memory.
    assert (first["ExitCode"], second["ExitCode"]) == ("137:0", "0:0")
    made = run.provenance()["attempts"]
    assert [attempt["ended"] for attempt in made] == ["killed", "finished"]
    assert [(attempt["nodes"], attempt["devices"]) for attempt in made] == [(2, 2)] * 2
    assert made[0]["last_step"] >= 10 and made[1]["first_step"] == made[0]["last_step"] + 1
    assert made[1]["last_step"] == STEPS
