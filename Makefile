# Candid's chores. A fresh machine needs Python 3.11 or newer and make; `make serve` does the rest.
#
# Everything is installed into .venv from the lock, with hashes. A stamp file in .venv says what is in
# place, so the second time costs nothing.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check
# Any interpreter can be named: make serve PYTHON=/opt/python3.13/bin/python3
PYTHON ?=
SERVE ?=
PYTEST ?=
BENCH ?=
IMAGE ?= candid
VARIANT ?= cpu

.PHONY: help serve test check clients ray docs lint format typecheck bench lock small image clean

help: ## this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

serve: $(VENV)/.installed ## install what is missing, then answer on http://127.0.0.1:8000 (SERVE="--port 9000")
	$(BIN)/candid serve $(SERVE)

# A file's tests share what it starts. `test` has more processes than two cores need, for much of it waits.
PARALLEL := --dist loadfile --no-loadscope-reorder

test: lint typecheck ## everything CI checks: ruff, mypy --strict, pytest (PYTEST="-k image", PYTEST="-n 0")
	$(BIN)/python -m pytest --numprocesses 3 $(PARALLEL) $(PYTEST)

check: lint typecheck ## for everyday work, under a minute: ruff, mypy --strict, the tests without servers and torch
	$(BIN)/python -m pytest --numprocesses 2 $(PARALLEL) -m "not slow" $(PYTEST)

# Their requirements are older than ours, so they get an environment of their own; the tests skip without it.
CLIENTS := tests/app/routes/compat/clients

clients: $(VENV)/.created ## the other programs' clients that the compatibility tests ask with
	$(BIN)/python -m venv $(CLIENTS)/.venv
	$(CLIENTS)/.venv/bin/python -m pip install --disable-pip-version-check --quiet --require-hashes \
	  --requirement $(CLIENTS)/requirements.txt
	@if command -v npm >/dev/null; then npm ci --silent --prefix $(CLIENTS); \
	else echo "npm is not here: the JavaScript client's tests will be skipped."; fi

ray: $(VENV)/.installed-dev ## Ray beside the rest: deploy/ray, and the tests that are skipped without it
	$(PIP) --require-hashes --requirement requirements-ray.txt

docs: $(VENV)/.installed-dev ## write replies, tables and the page's picture in README and docs/ anew, and deploy/kubernetes*
	UPDATE_DOCS=1 $(BIN)/python -m pytest -q tests/test_docs.py tests/test_better_answers.py tests/app/web/test_page.py \
	  tests/deploy/test_chart.py

lint: $(VENV)/.installed-dev ## ruff, without changing a file
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.installed-dev ## ruff, changing files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

typecheck: $(VENV)/.installed-dev ## mypy --strict
	$(BIN)/mypy --strict app models

bench: $(VENV)/.installed-dev ## every speed figure, peers beside Candid: bench/results.md (BENCH="--only peers")
	$(BIN)/python -m bench.all $(BENCH)

# --universal: one file for every platform and every Python that is supported. No index address goes into
# the files: who installs from them uses their own index, and the hashes hold whichever it is.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" pyproject.toml

lock: $(VENV)/.created ## write requirements*.txt anew (LOCKFLAGS="--upgrade-package torch")
	$(PIP) --quiet uv==0.13.9
	$(LOCK) $(LOCKFLAGS) --extra dev --extra training --extra postgres --extra openvino --output-file requirements-dev.txt
	$(LOCK) $(LOCKFLAGS) --extra postgres --extra openvino --extra traces --constraint requirements-dev.txt --output-file requirements.txt
	$(LOCK) $(LOCKFLAGS) --extra ray --extra openvino --extra traces --constraint requirements-dev.txt --output-file requirements-ray.txt

# What torch needs is left out of the lock too. Exports are made elsewhere: docs/operations.md, "Without torch".
SMALL := .venv-small
LEFT_OUT := ^($(shell paste -sd '|' deploy/torch-only.txt))==

small: $(VENV)/.created ## an installation without torch in .venv-small, which only runs exports, on a CPU
	$(BIN)/python -m venv $(SMALL)
	awk '/^[a-z]/ { wanted = $$0 !~ /$(LEFT_OUT)/ } wanted' requirements.txt > $(SMALL)/requirements.txt
	$(SMALL)/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --require-hashes \
	  --requirement $(SMALL)/requirements.txt
	$(SMALL)/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .

image: ## the container image (VARIANT=torch for any model, cuda for NVIDIA GPUs)
	docker build --build-arg VARIANT=$(VARIANT) --tag $(IMAGE):$(VARIANT) .

clean: ## remove what the other targets made, .venv included
	rm -rf $(VENV) $(SMALL) build dist .mypy_cache .ruff_cache .pytest_cache *.egg-info
	rm -rf $(CLIENTS)/.venv $(CLIENTS)/node_modules .cache bench/peers/.envs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

PYTHONS := $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14)

# The first of these that runs and is new enough; asked for its version rather than believed by its name.
$(VENV)/.created:
	@for python in $(PYTHONS); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then break; fi; python=; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Candid needs Python 3.11 or newer. Tried: $(PYTHONS); python3 is $$(python3 --version 2>&1)." >&2; \
	  echo "Install one, or name it: make serve PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Could not make $(VENV). On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@

# The embedded model, as OpenVINO runs it, made now: the first start need not import torch. It stands where
# models/loading.py looks for it; without OpenVINO nothing is made.
EXPORT := CANDID_MODEL=embedded CANDID_MODELS= CANDID_DEVICE=cpu CANDID_TEXT_CACHE_BYTES=0 \
	CANDID_ENCODER_DIR=$(VENV)/share/candid/encoders $(BIN)/python -m app.model_loading \
	|| echo "The embedded model could not be prepared; the first start will do it."

$(VENV)/.installed: $(VENV)/.created requirements.txt pyproject.toml
	@echo "Installing Candid into $(VENV): the first time takes some minutes, mostly torch."
	$(PIP) --require-hashes --requirement requirements.txt
	$(PIP) --quiet --no-deps --no-build-isolation --editable .
	@$(EXPORT)
	@touch $@

# The development lock contains the other one, so both stamps are set.
$(VENV)/.installed-dev: $(VENV)/.created requirements-dev.txt pyproject.toml
	@echo "Installing Candid and its development tools into $(VENV): the first time takes some minutes."
	$(PIP) --require-hashes --requirement requirements-dev.txt
	$(PIP) --quiet --no-deps --no-build-isolation --editable .
	@$(EXPORT)
	@touch $@ $(VENV)/.installed
