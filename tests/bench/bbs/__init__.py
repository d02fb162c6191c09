"""The BBS beside etcd: both on this machine, in one run, under the same kind of client.

    python -m tests.bench.bbs [PART…] [--rows N …] [-o json]

Three members each, TLS everywhere, every write flushed to the same disk. What is compared is
measured in turns, so that a busy machine is busy for both. Nothing is asserted: a row says whether
its goal was met. `docs/benchmarks.md` has a full run.
"""
