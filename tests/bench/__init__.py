"""The numbers, each beside what it is compared with, measured in one run: `make bench`.

Timings are for people to read in `docs/benchmarks.md`; no test asserts one. Needs root and runc.
"""
