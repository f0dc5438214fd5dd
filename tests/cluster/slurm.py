"""A real SLURM on this machine: munge, a controller and several node daemons, each a process of ours.

Everything of it lies in one folder: its configuration, keys, sockets, logs, and what it recorded of each job.
Another SLURM on the machine is not touched.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
START_SECONDS = 600  # on a busy machine

# Node, its partitions with their priority, CPUs and stand-in GPUs.
NODES = {
    "cpu": (["cpu"], 8, 0),
    "gpu": (["gpu"], 8, 8),
    "spare": (["low", "urgent"], 1, 1),
    "flaky": (["flaky"], 1, 1),
    "restarted": (["restarted"], 1, 1),
    "first": (["pair"], 1, 0),
    "second": (["pair"], 1, 0),
}
PRIORITY = {"urgent": 10}
PAIR = ("first", "second")
"""Nodes whose jobs know both by their names, as the processes of a training on several nodes need it."""


def install() -> None:
    """Install SLURM and munge where they are absent (Debian, Ubuntu)."""
    if all(shutil.which(name) for name in PROGRAMS):
        return
    if not shutil.which("apt-get"):
        raise RuntimeError("SLURM and munge are not installed, and there is no apt-get to install them with.")
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "-q", "update"], env=env, check=True)
    subprocess.run(["apt-get", "-q", "-y", "install", "--no-install-recommends", "slurm-wlm", "munge"], env=env,
                   check=True)


@dataclass
class Slurm:
    """A started cluster; `stop` ends every job and daemon of it.

    Attributes:
        folder: Where everything of it lies.
        daemons: Its processes by name: munged, slurmctld, and slurmd by node.
    """

    folder: Path
    daemons: dict[str, subprocess.Popen] = field(default_factory=dict)

    @classmethod
    def started(cls) -> Slurm:
        """Write the configuration and start the daemons.

        Raises:
            RuntimeError: The nodes do not become ready; the logs are in the message.
        """
        slurm = cls(Path(tempfile.mkdtemp(prefix="slurm-")))
        slurm.folder.chmod(0o755)  # munged runs as a user of its own
        try:
            slurm._write()
            slurm._start("munged", ["munged", "--foreground", *(
                f"--{name}={slurm.folder}/munge/{name.split('-')[0]}"
                for name in ("key-file", "socket", "pid-file", "log-file", "seed-file"))], user="munge", group="munge")
            slurm._wait(lambda: (slurm.folder / "munge/socket").is_socket())
            slurm._start("slurmctld", ["slurmctld", "-D", "-c"])
            for node in NODES:
                slurm.start_node(node)
            slurm._wait(lambda: slurm.ask("sinfo", "-h", "-N", "-o", "%N %t").split().count("idle")
                        == sum(len(partitions) for partitions, _, _ in NODES.values()))
        except BaseException:
            slurm.stop()
            raise
        return slurm

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to use it."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def ask(self, *command: str, check: bool = True) -> str:
        """Run one of SLURM's commands and give what it says."""
        done = subprocess.run(command, env=os.environ | self.environment, capture_output=True, text=True)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def start_node(self, node: str) -> None:
        """Start a node's daemon."""
        command = ["slurmd", "-D", "-N", node]
        if node in PAIR:  # in the jobs' own view of this machine, /etc/hosts has the nodes, too
            script = f'mount --bind {self.folder}/hosts /etc/hosts && exec "$@"'
            command = ["unshare", "--mount", "sh", "-c", script, "sh", *command]
        self._start(node, command)

    def kill_node_daemon(self, node: str) -> None:
        """Kill a node's daemon with SIGKILL; its jobs live on."""
        self.daemons[node].kill()
        self.daemons.pop(node).wait()

    def fail_node(self, node: str) -> None:
        """Kill a node's daemon and all its jobs' processes as a power failure does, and tell the controller what it
        would find out by itself after SlurmdTimeout."""
        self.kill_node_daemon(node)
        for process in self._step_daemons(node):
            # It neither tells of its job's end nor goes first: what is left of a job then would still get SIGHUP.
            process.suspend()
            for one in [*process.children(recursive=True), process]:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
        self.ask("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")

    def repair_node(self, node: str) -> None:
        """Start a failed node again and take it into service."""
        self.start_node(node)
        self.ask("scontrol", "update", f"NodeName={node}", "State=RESUME", check=False)
        self._wait(lambda: self.ask("sinfo", "-h", "-n", node, "-o", "%t").split()[0] in ("idle", "mix", "alloc"))

    def jobs(self) -> list[dict[str, str]]:
        """Running and waiting jobs: `id`, `state`, `name` and `folder`."""
        lines = self.ask("squeue", "-h", "-o", "%i|%t|%j|%Z").splitlines()
        return [dict(zip(("id", "state", "name", "folder"), line.split("|"), strict=True)) for line in lines]

    def record(self) -> list[dict[str, str]]:
        """What SLURM has recorded of each job that ended: its own job completion log (JobState, Partition, NodeList,
        TimeLimit …), and with them `Gres`, what `scontrol` said that it had been given."""
        gres = {job["JobId"]: job["JOB_GRES"] for job in self._lines("given.txt")}
        return [job | {"Gres": gres.get(job["JobId"], "")} for job in self._lines("jobs.txt")]

    def _lines(self, name: str) -> list[dict[str, str]]:
        path = self.folder / name
        lines = path.read_text().splitlines() if path.exists() else []
        return [dict(re.findall(r"(\w+)=(.*?)(?= +\w+[=:]|\s*$)", line)) for line in lines]

    def stop(self) -> None:
        """End all jobs, then the daemons, each by its process id, and remove the folder."""
        if "slurmctld" in self.daemons:
            self.ask("scancel", "--user", "root", check=False)
            with suppress(TimeoutError, RuntimeError):
                self._wait(lambda: not self.jobs(), seconds=30)
        for node in NODES:
            for process in self._step_daemons(node):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        with ExitStack() as stack:  # nodes first, munge last, each waited for
            for daemon in self.daemons.values():
                stack.callback(self._end, daemon)
        self.daemons.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _step_daemons(self, node: str) -> list[psutil.Process]:
        """The slurmstepd processes of a node, known by the log that they share with its daemon."""
        log, found = str(self.folder / f"{node}.log"), []
        for process in psutil.process_iter(["name"]):
            if process.info["name"].startswith("slurmstepd"):
                with suppress(psutil.Error):
                    if log in (handle.path for handle in process.open_files()):
                        found.append(process)
        return found

    @staticmethod
    def _end(daemon: subprocess.Popen) -> None:
        daemon.terminate()
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.send_signal(signal.SIGKILL)
            daemon.wait()

    def _start(self, name: str, command: list[str], **options) -> None:
        with open(self.folder / f"{name}.out", "a") as handle:
            self.daemons[name] = subprocess.Popen(command, env=os.environ | self.environment, stdout=handle,
                                                  stderr=handle, stdin=subprocess.DEVNULL, **options)

    def _wait(self, ready, seconds: float = START_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while True:
            with suppress(RuntimeError):
                if ready():
                    return
            if time.monotonic() > deadline:
                logs = "\n".join(f"{path.name}:\n{path.read_text()[-3000:]}" for path in self.folder.glob("*.log"))
                raise TimeoutError(f"SLURM did not become ready:\n{logs}")
            time.sleep(0.3)

    def _write(self) -> None:
        """slurm.conf, gres.conf, munge's key and the stand-in GPUs."""
        munge = self.folder / "munge"
        munge.mkdir()
        (munge / "key").write_bytes(os.urandom(1024))
        (munge / "key").chmod(0o400)
        for path in (munge, munge / "key"):
            shutil.chown(path, "munge", "munge")
        host = socket.gethostname().split(".")[0]
        (self.folder / "hosts").write_text(
            Path("/etc/hosts").read_text() + "".join(f"127.0.0.1 {node}\n" for node in PAIR))
        ports = free_ports(len(NODES) + 1)
        nodes, gres, partitions = [], [], {}
        for (node, (names, cpus, gpus)), port in zip(NODES.items(), ports, strict=False):
            (self.folder / f"spool-{node}").mkdir()
            nodes.append(f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} "
                         f"RealMemory=100000 {f'Gres=gpu:t4:{gpus}' if gpus else ''}")
            for number in range(gpus):  # a character device is all that SLURM wants to see
                os.mknod(self.folder / f"{node}-gpu{number}", 0o600 | 0o020000, os.makedev(1, 3))
            if gpus:
                gres.append(f"NodeName={node} Name=gpu Type=t4 File={self.folder}/{node}-gpu[0-{gpus - 1}]")
            for name in names:
                partitions.setdefault(name, []).append(node)
        (self.folder / "gres.conf").write_text("\n".join(gres) + "\n")
        epilog = self.folder / "epilog"
        epilog.write_text(f"#!/bin/sh\nexport SLURM_CONF={self.folder}/slurm.conf\n{shutil.which('scontrol')} -d -o "
                          f"show job $SLURM_JOB_ID >> {self.folder}/given.txt\n")
        epilog.chmod(0o755)
        (self.folder / "state").mkdir()
        (self.folder / "slurm.conf").write_text(CONFIG.format(
            host=host, folder=self.folder, port=ports[-1], nodes="\n".join(nodes),
            partitions="\n".join(
                f"PartitionName={name} Nodes={','.join(members)} PriorityTier={PRIORITY.get(name, 1)} "
                f"MaxTime=INFINITE State=UP {'Default=YES' if name == 'cpu' else ''}"
                for name, members in partitions.items())))


# MessageTimeout and BatchStartTimeout are for a busy machine.
CONFIG = """ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs.txt
EpilogSlurmctld={folder}/epilog
SchedulerParameters=sched_interval=5,bf_interval=5
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
ReturnToService=2
MessageTimeout=60
BatchStartTimeout=300
{nodes}
{partitions}
"""


def free_ports(number: int) -> list[int]:
    """TCP ports that nothing listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
