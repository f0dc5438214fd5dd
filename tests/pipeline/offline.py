"""Run a command in a network namespace of its own, with loopback alone, and count what it tried to reach.

    unshare -nu python offline.py COUNTS COMMAND …

Appends a line to the file COUNTS: how many packets and connections, of IPv4 and IPv6, found no route. Look-ups of names
count, too.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import subprocess
import sys
from pathlib import Path

UP = 0x1 | 0x40  # IFF_UP, IFF_RUNNING
SET_FLAGS = 0x8914


def command(counts: Path) -> list[str]:
    """The words before a command that has no network; none where the machine permits no namespaces."""
    for unshare in (["unshare", "-nu"], ["unshare", "-rnu"]):
        try:
            if subprocess.run([*unshare, "true"], capture_output=True).returncode == 0:
                return [*unshare, sys.executable, __file__, str(counts)]
        except FileNotFoundError:
            break
    return []


def without_route() -> int:
    """What found no route in this namespace."""
    names, values = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Ip:")]
    found = int(dict(zip(names, values, strict=True))["OutNoRoutes"])
    six = Path("/proc/net/snmp6")
    rows = six.read_text().splitlines() if six.exists() else []
    return found + sum(int(row.split()[1]) for row in rows if row.startswith("Ip6OutNoRoutes"))


if __name__ == "__main__":
    socket.sethostname("localhost")  # else asking for this machine's own name may be a look-up
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh", b"lo", UP))
    ended = subprocess.run(sys.argv[2:])
    with open(sys.argv[1], "a") as handle:
        print(without_route(), file=handle)
    sys.exit(ended.returncode)
