"""The command line: what people type, what they read, and the exit statuses.

It reaches a cluster only through `diegod.client`. Data goes to stdout, everything else to stderr.
Does not belong here: decisions about the cluster, and connections.
"""

import os
import sys


def main() -> None:
    """The entry point `diegod`."""
    # gRPC reads it when it is imported, and otherwise writes into people's terminals.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from diegod.cli.app import run

    sys.exit(run(sys.argv[1:]))
