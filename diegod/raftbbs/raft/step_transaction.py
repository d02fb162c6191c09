"""The transaction of one step, begun only when something is read or written.

An idle step begins nothing and flushes nothing to disk. A step that only reads has a view; the
first write turns it into the write transaction, which then also serves the reads, so that a step
sees what it wrote.
"""

from diegod.raftbbs.store.environment import Environment, ReadTransaction, WriteTransaction


class StepTransaction:
    """Reads and writes of one step. `commit` or `abort` ends it; the next use begins another."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._reader: ReadTransaction | None = None
        self._writer: WriteTransaction | None = None

    @property
    def reader(self) -> ReadTransaction:
        if self._reader is None:
            self._reader = self._environment.begin_read()
        return self._reader

    @property
    def writer(self) -> WriteTransaction:
        if self._writer is None:
            if self._reader is not None:
                self._reader.abort()
            self._writer = self._environment.begin_write()
            self._reader = self._writer
        return self._writer

    def commit(self) -> None:
        """Make what the step wrote durable; nothing happens when it wrote nothing."""
        if self._writer is not None:
            self._writer.commit()
            self._writer = self._reader = None
        self.abort()

    def abort(self) -> None:
        if self._reader is not None:
            self._reader.abort()
        self._writer = self._reader = None
