"""The workers of one training: one process per node, which train a network together.

TensorFlow connects them with `tf.distribute.MultiWorkerMirroredStrategy`. Its coordination service, which runs in
worker 0, notices a lost worker by its missing heartbeats and ends the operations of all others.
"""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UsageError, WorkerLost

if TYPE_CHECKING:
    import tensorflow as tf

START_SECONDS = 600
"""Time that a worker waits for the others at the start, in seconds. A slow file system delays the libraries."""
CONNECT_SECONDS = 120
"""Time in which TensorFlow must connect the workers after all have started, in seconds."""
REPORT_SECONDS = 10
"""Time for one connection at the start, in seconds."""
HEARTBEAT_SECONDS = 30
"""Time without a heartbeat after which a worker counts as lost, in seconds."""
AGAIN = "Its own output says why. Run the same command on all nodes again; it goes on from the last checkpoint."
ABORTED = "Collective ops is aborted by:"
"""In the errors of all operations that exchange values with a lost worker; their types differ."""
FIRST_PORT, PORTS = 12000, 20000
"""Range of the ports of workers that SLURM starts; below the ports that Linux uses for outgoing connections."""


@dataclass(frozen=True)
class Workers:
    """The processes that train one network together.

    Attributes:
        addresses: `host:port` of each worker, in the same order for all.
        index: Position of this process.
    """

    addresses: tuple[str, ...]
    index: int

    @classmethod
    def of(cls, environment: Mapping[str, str], nodes: int) -> Workers:
        """Find the workers in `TF_CONFIG` or, without it, in the environment that `srun` gives to its tasks.

        Args:
            environment: Environment variables.
            nodes: Expected number of workers.

        Raises:
            UsageError: Neither is there, `TF_CONFIG` is not as TensorFlow defines it, or the number differs.
        """
        if "TF_CONFIG" in environment:
            source, found = "TF_CONFIG", _of_tf_config(environment["TF_CONFIG"])
        elif "SLURM_STEP_NODELIST" in environment:
            source, found = "SLURM's job step", _of_slurm(environment)
        else:
            raise UsageError(f"--nodes {nodes} needs one pocket-train per node, and nothing says where they are.",
                             todo=f"Start it with srun --nodes={nodes} --ntasks-per-node=1 in a SLURM job, or set "
                                  "TF_CONFIG for each process (docs/slurm.md).")
        if len(found.addresses) != nodes:
            raise UsageError(f"--nodes is {nodes}, but {source} has {len(found.addresses)} tasks.",
                             todo="Start one pocket-train per node (srun --ntasks-per-node=1), or correct --nodes.")
        return found


def chief(environment: Mapping[str, str]) -> bool:
    """Return whether this process is worker 0, without loading TensorFlow.

    Raises:
        UsageError: `TF_CONFIG` is not as TensorFlow defines it.
    """
    if "TF_CONFIG" in environment:
        return _of_tf_config(environment["TF_CONFIG"]).index == 0
    return environment.get("SLURM_PROCID", "0") == "0"


def _of_tf_config(text: str) -> Workers:
    try:
        config = json.loads(text)
        addresses, task = config["cluster"]["worker"], config["task"]
        workers = Workers(tuple(map(str, addresses)), int(task["index"]))
        if list(config["cluster"]) == ["worker"] == [task["type"]] and 0 <= workers.index < len(addresses):
            return workers
    except (ValueError, KeyError, TypeError):
        pass
    raise UsageError(f"TF_CONFIG does not describe a cluster of workers. Received: {text}",
                     todo='Expected: {"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}')


def _of_slurm(environment: Mapping[str, str]) -> Workers:
    """Return the tasks of a job step with one task per node. All derive the same ports from the number of the job."""
    from tensorflow.python.distribute.cluster_resolver.slurm_cluster_resolver import expand_hostlist

    hosts = expand_hostlist(environment["SLURM_STEP_NODELIST"])
    tasks = int(environment.get("SLURM_STEP_NUM_TASKS", len(hosts)))
    if tasks != len(hosts):
        raise UsageError(f"SLURM's job step has {tasks} tasks on {len(hosts)} nodes.",
                         todo="Start one pocket-train per node: srun --ntasks-per-node=1.")
    port = FIRST_PORT + int(environment["SLURM_JOB_ID"]) % PORTS
    return Workers(tuple(f"{host}:{port + index}" for index, host in enumerate(hosts)),
                   int(environment["SLURM_PROCID"]))


def meet(workers: Workers, seconds: float = START_SECONDS) -> None:
    """Wait until all workers have started and their ports are free.

    TensorFlow would wait without limit, and not react to SIGTERM. The workers meet at the address that worker 0 uses
    for TensorFlow later.

    Args:
        workers: All workers.
        seconds: Maximum time to wait.

    Raises:
        WorkerLost: A worker is missing when the time is up, or this worker's port is in use.
    """
    deadline = time.monotonic() + seconds
    port = int(workers.addresses[workers.index].rpartition(":")[2])
    try:
        server = socket.create_server(("", port), backlog=len(workers.addresses))
    except OSError as error:
        raise WorkerLost(f"This node's port {port} cannot be used ({error.strerror}).", todo=AGAIN) from None
    with server:
        missing = _accept(server, len(workers.addresses), deadline) if workers.index == 0 else \
            _report(workers, deadline)
    if missing:
        raise WorkerLost(f"Not all {len(workers.addresses)} nodes' workers started within {seconds:.0f} s.",
                         where=", ".join(workers.addresses[index] for index in missing), todo=AGAIN)


def _accept(server: socket.socket, count: int, deadline: float) -> list[int]:
    """Wait for the reports of all workers and answer them; return the workers that are missing."""
    there: dict[int, socket.socket] = {}
    with ExitStack() as stack:
        while missing := sorted(set(range(1, count)) - set(there)):
            server.settimeout(max(deadline - time.monotonic(), 0.001))
            with suppress(OSError):
                connection = stack.enter_context(server.accept()[0])
                connection.settimeout(REPORT_SECONDS)
                text = connection.recv(16)
                if text.isdigit():
                    there[int(text)] = connection
            if time.monotonic() >= deadline:
                return missing
        for connection in there.values():
            with suppress(OSError):
                connection.sendall(b"go")
    return []


def _report(workers: Workers, deadline: float) -> list[int]:
    """Report to worker 0 and wait for its answer; return [0] if it does not come."""
    host, _, port = workers.addresses[0].rpartition(":")
    while (left := deadline - time.monotonic()) > 0:
        with suppress(OSError), socket.create_connection((host, int(port)), timeout=min(left, REPORT_SECONDS)) as one:
            one.sendall(str(workers.index).encode())
            one.settimeout(left)
            if one.recv(2):
                return []
        time.sleep(0.5)  # it has not started yet
    return [0]


def join(workers: Workers, gpus: int) -> tf.distribute.Strategy:
    """Connect this process with the other workers, before TensorFlow's first operation.

    If another worker ends just as TensorFlow connects them, SIGALRM ends this process after `CONNECT_SECONDS`:
    TensorFlow waits without limit, and no Python code runs meanwhile.

    Args:
        workers: All workers.
        gpus: Number of GPUs of this machine to use; 0 for the CPU.

    Raises:
        WorkerLost: The others did not start, or this worker's port is in use.
    """
    import tensorflow as tf
    from tensorflow.compiler.xla.tsl.protobuf.coordination_config_pb2 import CoordinatedJob
    from tensorflow.python.eager import context

    meet(workers)
    tf.config.set_visible_devices(tf.config.list_physical_devices("GPU")[:gpus], "GPU")
    # As the strategy does it by itself, but with the time of a lost worker.
    context.context().configure_coordination_service(
        service_type="standalone", service_leader="/job:worker/replica:0/task:0",
        coordinated_jobs=[CoordinatedJob(name="worker", num_tasks=len(workers.addresses))],
        heartbeat_timeout_in_ms=HEARTBEAT_SECONDS * 1000)
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(workers.addresses)}), task_type="worker", task_id=workers.index,
        rpc_layer="grpc", num_accelerators={"GPU": gpus})
    handler = signal.getsignal(signal.SIGTERM)
    signal.alarm(CONNECT_SECONDS)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except tf.errors.OpError as error:
        raise WorkerLost("The workers of the nodes cannot connect.", where=_short(error), todo=AGAIN) from error
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGTERM, handler)  # TensorFlow's own only notes the signal


@contextmanager
def watched() -> Iterator[None]:
    """Turn TensorFlow's errors about other workers into `WorkerLost`."""
    import tensorflow as tf

    lost = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError,
            tf.errors.DeadlineExceededError)
    try:
        yield
    except tf.errors.OpError as error:
        if not isinstance(error, lost) and ABORTED not in str(error):
            raise
        raise WorkerLost("Another node's worker ended.", where=_short(error), todo=AGAIN) from error


def _short(error: Exception) -> str:
    """Return the first line of the reason in an error of TensorFlow, without the operation's place in the graph."""
    before, _, reason = str(error).partition(ABORTED)
    return (reason or before).strip().split("\n")[0].rstrip(": ")
