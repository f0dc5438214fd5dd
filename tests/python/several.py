"""Addresses and TF_CONFIG for several processes of one training on this machine."""

import json
import socket
from contextlib import ExitStack


def of_workers(count):
    """Addresses with ports that nothing listens on at the moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]


def tf_config(addresses, index, kind="worker"):
    return json.dumps({"cluster": {kind: addresses}, "task": {"type": kind, "index": index}})
