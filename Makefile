# diegod: one word a job. Each target sets up what it needs (.venv, missing programs) and, when all
# is there, needs no network. GNU make 3.81 is enough.
#
#   PYTHON=python3.12   the interpreter that .venv is made with (3.11 or newer)
#   DIEGOD_NO_APT=1     never install a Debian package
#   ARGS='-k lease'     more arguments for the program behind the target
#   SEEDS=1..500        the seeds that `make sim` runs; without it: new ones
#   MINUTES=60 SEED=7   how long `make chaos` goes on, and what it does; without: 5, and a new one
#   SIM=bbs             one of the two simulations: bbs or ring; without it: both
#   MUTANTS='lease …'   the mutants that `make mutants` tries, by the beginnings of their names

PYTHON ?= python3
ARGS ?=
SEEDS ?=
MINUTES ?= 5
SEED ?=
SIM ?=
MUTANTS ?=

RUN := .venv/bin/python -m

export PYTHON
export PATH := $(CURDIR)/.cache/bin:$(PATH):/usr/local/sbin:/usr/sbin:/sbin

.PHONY: help demo test lint types sim mutants chaos storm bench bench-bbs docs clean environment machine

help:
	@echo "make demo    a cluster, real containers, and everything that can fail failing, in front of you"
	@echo "make test    every test; says what was skipped and why"
	@echo "make lint    ruff, the import contracts, generated code against the .proto files"
	@echo "make types   mypy, strict"
	@echo "make sim     the BBS, and the whole ring, on a virtual clock, under faults (SEEDS=a..b, SIM=bbs)"
	@echo "make mutants each measure and guard taken away, one at a time: who notices?"
	@echo "make chaos   three real members under faults and load, judged (MINUTES=5 SEED=N)"
	@echo "make storm   a whole cluster of real processes under faults, 2,000 tasks, starts counted"
	@echo "make bench   the numbers"
	@echo "make bench-bbs  the BBS beside etcd, in one run (ARGS='bulk lone --rows 5000', ARGS='-o json')"
	@echo "make docs    links, code blocks and reference pages of the documentation"
	@echo "make clean   removes what the targets made, but for .venv"

environment:
	@sh tools/setup.sh

machine: environment
	@sh tools/binaries.sh

demo: machine
	@$(RUN) tests.demo $(ARGS)

# Two workers: one runs what needs the whole machine (root, processes), one test at a time; both run
# the rest. See tests/conftest.py.
# Its folders are its own: pytest clears those of earlier runs, and another run may be using them.
test: machine
	@folder=$$(mktemp -d /tmp/diegod-test.XXXXXX) && \
	$(RUN) pytest -n 2 --basetemp $$folder/t $(ARGS); \
	status=$$?; rm -rf $$folder; exit $$status

lint: environment
	.venv/bin/ruff check .
	.venv/bin/lint-imports
	sh tools/generate.sh --check

types: environment
	$(RUN) mypy --strict diegod $(wildcard plugins/*/diegod_*) tools

sim: environment
	@$(RUN) tests.sim $(SIM) $(SEEDS) $(ARGS)

storm: machine
	@$(RUN) tests.storm $(if $(SEED),--seed $(SEED)) $(ARGS)

chaos: machine
	@$(RUN) tests.chaos --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(ARGS)

mutants: machine
	@$(RUN) tests.mutants $(MUTANTS) $(ARGS)

bench: machine
	@$(RUN) tests.bench $(ARGS)

bench-bbs: machine
	@$(RUN) tests.bench.bbs $(ARGS)

docs: machine
	$(RUN) pytest tests/repo/test_docs.py $(ARGS)

clean:
	rm -rf .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf build dist demo.json plugins/*/build plugins/*/dist
	find diegod plugins tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
