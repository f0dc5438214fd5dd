"""One run with faults that it must survive without anyone's help: a chain of them for each of its three folds, all
at the same time; each next fault hits the attempt that the one before has caused."""

from __future__ import annotations

import signal
import time
from concurrent.futures import Executor

from faults import STEPS, until

KILLED, LOST, LIMITED = range(3)
MINUTES = 4  # that the last one may take; by its own clock, a minute and a half less

# Where a fault needs it, a partition, time or memory of its own; and a batch of PREPROCESS, a part of a job array,
# that is killed once.
CONFIG = """
process {
    withName: TRAIN {
        ext.args   = '--checkpoint-seconds 0'
        ext.memory = { meta.fold == %(LIMITED)d ? 300.MB : 3.GB }
        queue      = { meta.fold != %(LOST)d ? 'gpu' : [1: 'low', 2: 'flaky'][task.attempt] ?: 'restarted' }
        time       = { meta.fold == %(LIMITED)d ? %(MINUTES)d.m : 1.h }
    }
    withName: PREPROCESS {
        beforeScript = { meta.batch == 1 && task.attempt == 1 ? 'sleep 6; kill -KILL $$' : null }
    }
}
"""


def disturb(run, pool: Executor) -> tuple:
    """Run it to its end with every fault; gives it and what the faults of each fold have seen."""
    (run.folder / "faults.config").write_text(CONFIG % globals())
    head = run.launch("log", "-c", "faults.config")
    chains = {KILLED: kill, LOST: lose, LIMITED: run_out_of_time}
    harm = {fold: pool.submit(chain, run, fold, head) for fold, chain in chains.items()}
    said = run.ended(head, "log")
    assert head.returncode == 0, said
    return run, {fold: future.result() for fold, future in harm.items()}


def kill(run, fold, head):
    """SIGKILL; SIGTERM; the whole job killed at once, and half of the newest checkpoint lost with it.

    Gives how long the job went on after SIGTERM, and the step of the torn checkpoint.
    """
    first = run.training(fold, head=head)
    first.send(signal.SIGKILL)
    second = run.training(fold, step=first.step() + 10, head=head, after=first)
    asked = time.monotonic()
    second.send(signal.SIGTERM)
    second.gone()
    took = time.monotonic() - asked
    third = run.training(fold, step=second.step() + 10, head=head, after=second)
    for process in third.processes():
        process.kill()
    newest = third.checkpoints()[-1]
    newest.write_bytes(newest.read_bytes()[:newest.stat().st_size // 2])
    return took, int(newest.stem.split("-")[1])


def lose(run, fold, head):
    """Preempted; the node fails; the node's daemon is killed and started again, and the job goes on without it.

    The first two wait suspended for what takes SLURM a while, so that they are not done before, on a busy machine.
    """
    first = run.training(fold, head=head)
    first.process().suspend()  # SLURM wakes it with its SIGTERM
    run.slurm.ask("sbatch", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=sleep 5")
    second = run.training(fold, step=first.step() + 10, head=head, after=first)
    second.process().suspend()
    run.slurm.fail_node("flaky")
    second.gone()
    run.slurm.repair_node("flaky")
    third = run.training(fold, step=second.step() + 10, head=head, after=second)
    run.slurm.kill_node_daemon("restarted")
    step = third.step()
    until(lambda: third.step() >= min(step + 3, STEPS - 1) or not third.process(), "the job to go on by itself")
    run.slurm.start_node("restarted")


def run_out_of_time(run, fold, head):
    """Slow an attempt down until its own clock has run out; hang the next one, and cut its time to one minute, so that
    SLURM ends it.

    Gives the two jobs.
    """
    slow = run.training(fold, head=head)
    process = slow.process()
    process.suspend()
    until(lambda: time.time() - process.create_time() > 60 * MINUTES - 88, "the training's own clock")
    process.resume()
    slow.gone()
    hanging = run.training(fold, step=slow.step() + 1, head=head, after=slow)
    hanging.process().suspend()
    run.slurm.ask("scontrol", "update", f"JobId={hanging.job}", "TimeLimit=1")
    hanging.gone()
    return slow.job, hanging.job


def lose_worker(run):
    """Train on two nodes, and kill the process on the second one; gives the run when the network is trained."""
    (run.folder / "nodes.config").write_text("process { withName: TRAIN { queue = 'pair' } }")
    head = run.launch("log", "-c", "nodes.config")
    try:
        training = run.training(0, head=head)
        (worker,) = [one for one in training.workers() if one.environ()["SLURM_PROCID"] == "1"]
        worker.kill()
        model = run.folder / "results/demo/models/unet-pocket/fold0/provenance.json"
        until(lambda: model.is_file() or head.poll() is not None, "the training to end")
        assert model.is_file(), run.said("log")
    finally:
        head.terminate()  # the steps after it are those of every run
        head.wait()
    return run
