"""The cluster as a Python library: what the command line itself is made of.

    async with Client.from_context() as cluster:              # or Client(addresses, tls_dir)
        task = await cluster.tasks.run(rootfs="preloaded:busybox", argv=["echo", "hi"])
        print(task.exit_status, await cluster.logs(task).text())

Methods take and return the messages of `diegod.v1` and raise `DomainError`. Does not belong here:
printing, exit statuses, files (`diegod.cli`).
"""

from diegod.client.client import Client
from diegod.client.logs import Logs

__all__ = ["Client", "Logs"]
