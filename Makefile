# Every target works in a fresh clone; the first one to run builds .venv from the pinned, hashed requirements.
PYTHON ?= $(shell deploy/find-python.sh)
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help setup dev run test test-fast lint format faults scenarios kafka bench defects docs lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: .venv/.run-installed ## build .venv with .venv/bin/caudal and .venv/bin/loadtest

dev: .venv/.dev-installed ## setup, plus what the tests and linters need

.venv/bin/python:
	@deploy/make-venv.sh "$(PYTHON)"

.venv/.run-installed: .venv/bin/python requirements/run.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev-installed: .venv/.run-installed requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

run: setup ## run the whole gateway here, with the simulator as carrier (Ctrl-C stops it)
	@exec $(BIN)/caudal serve

test: dev ## the whole suite: real PostgreSQL, real peers, kill -9
	$(PYTEST)

test-fast: dev ## what needs no server and no peer
	$(PYTEST) -q tests/unit tests/property tests/architecture

lint: dev ## ruff, mypy --strict, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: dev ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

faults: dev ## every fault under load on both buses, RUNS seeded runs each (20)
	$(BIN)/python -m tests.faults --runs $(RUNS)
RUNS ?= 20

scenarios: dev ## the promises of dispatch at full length: rate, hidden limit, OTP under a campaign, outage, handover
	@for one in rate hidden-limit outage handover otp-under-campaign; do echo "== $$one"; $(BIN)/python -m tests.scenarios $$one || exit 1; done

kafka: ## run a real Apache Kafka on loopback (Ctrl-C stops it)
	@exec deploy/kafka/run.sh

bench: dev ## what a message costs, by process and stage, on both buses, beside Kannel (BENCH="--write" fills benchmarks.md)
	$(BIN)/python -m tests.perf $(BENCH)

defects: dev ## every promise of a load run, missed by a gateway with a defect planted for it
	$(BIN)/python -m tests.faults.defects --all

docs: dev ## write the pages that are made from code and tests
	$(BIN)/python deploy/docs/make_pages.py
	$(BIN)/python deploy/docs/make_carriers.py
	$(BIN)/python deploy/docs/make_callbacks.py
	$(BIN)/python deploy/docs/make_compliance.py
	$(BIN)/python deploy/docs/make_benchmarks.py
	$(BIN)/python deploy/slo/make_rules.py
	$(BIN)/python deploy/grafana/make_dashboards.py

lock: ## compile the pinned, hashed requirements (needs uv on the PATH or in .venv)
	$(LOCK) --extra kafka --extra loadtest --extra tracing -o requirements/run.txt pyproject.toml
	$(LOCK) --extra dev -o requirements/dev.txt pyproject.toml
LOCK := PATH="$(CURDIR)/.venv/bin:$$PATH" uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header

clean: ## remove what was built here; var/ (your data) stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info
