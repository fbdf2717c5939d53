# Two commands do everything: `make demo` and `make test`. Each sets up what it needs first.
SHELL   := /bin/bash
PYTHON  ?= python3.11
TOOLS   := .tools
UV      := PYTHONPATH=$(TOOLS)/uv UV_NO_CONFIG=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never $(PYTHON) -m uv
DAGSTER := .venv
AIRFLOW2 := .venv-airflow
AIRFLOW3 := .venv-airflow3
BIN     := $(DAGSTER)/bin
DIST    ?= dist
AIRFLOW ?= 2
PYTEST  := $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=10 --durations-min=1
FAST    := $(addprefix tests/,windows inventory parity lifecycle adapters/files adapters/store)
OF_CHECK := --ignore tests/architecture --ignore tests/docs
# Every process imports this project: with its bytecode kept, each saves half a second or more.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test test-fast journeys check format bench dist release matrix lock licences clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(DAGSTER)/.installed $(AIRFLOW2)/.installed ## create both environments (Dagster + dbt, Airflow)

$(TOOLS)/.installed: requirements/tools.txt
	@echo "setup: uv, into $(TOOLS)/"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-warn-conflicts --upgrade \
	  --root-user-action ignore --require-hashes --target $(TOOLS)/uv -r requirements/tools.txt
	@touch $@

$(DAGSTER)/.installed: requirements/dagster.txt pyproject.toml $(TOOLS)/.installed
	@echo "setup: Dagster and dbt, into $(DAGSTER)/"
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(DAGSTER)
	@$(UV) pip sync --quiet --require-hashes --compile-bytecode --python $(BIN)/python requirements/dagster.txt
	@$(UV) pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python --editable .
	@touch $@

$(AIRFLOW2)/.installed: requirements/airflow.txt $(TOOLS)/.installed
	@echo "setup: Airflow, into $(AIRFLOW2)/"
	@test -x $(AIRFLOW2)/bin/python || $(UV) venv --quiet --python $(PYTHON) $(AIRFLOW2)
	@$(UV) pip sync --quiet --require-hashes --compile-bytecode --python $(AIRFLOW2)/bin/python requirements/airflow.txt
	@touch $@

# For `make demo AIRFLOW=3` and the tests.
$(AIRFLOW3)/.installed: requirements/airflow3.txt $(TOOLS)/.installed
	@echo "setup: Airflow 3, into $(AIRFLOW3)/"
	@test -x $(AIRFLOW3)/bin/python || $(UV) venv --quiet --python $(PYTHON) $(AIRFLOW3)
	@$(UV) pip sync --quiet --require-hashes --compile-bytecode --python $(AIRFLOW3)/bin/python requirements/airflow3.txt
	@touch $@

demo: setup $(if $(filter 3,$(AIRFLOW)),$(AIRFLOW3)/.installed) ## the main job: both orchestrators, the same windows, compared (AIRFLOW=3 runs Airflow 3; DEMO_EXIT=1 stops at the end)
	@$(BIN)/python -m demo --airflow $(AIRFLOW) $(if $(DEMO_EXIT),--exit)

test-fast: setup ## the pure folders and the files: no servers, no Airflow
	@$(PYTEST) -m "not (airflow or journey or thorough)" $(FAST)

test: setup $(AIRFLOW3)/.installed ## all of that, plus components, commands and one whole journey: the demo
	@$(PYTEST) -m "whole or not (journey or thorough)" $(OF_CHECK)

journeys: setup $(AIRFLOW3)/.installed ## the other stories on real servers, and the laws on thousands of random cases
	@$(PYTEST) -m "(journey or thorough) and not whole"

check: setup ## linters, types, the import law, SQL style and the architecture tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint dbt/models dbt/tests
	$(BIN)/dg check defs
	$(BIN)/dg check yaml
	$(BIN)/pytest tests/architecture tests/docs

format: setup ## apply the fixes that the linters can make
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/sqlfluff fix --force dbt/models dbt/tests

bench: setup ## measurements, each next to its peer from the same run
	@$(BIN)/python -m bench

dist: setup ## both wheels, into dist/: airflow-parity for Dagster's side, airflow-parity-handover for Airflow's
	@rm -rf $(DIST) *.egg-info legacy_dags/*.egg-info
	@for project in . legacy_dags; do \
	  $(UV) build --quiet --no-build-isolation --python $(BIN)/python --out-dir $(DIST) $$project || exit 1; \
	done
	@rm -rf build legacy_dags/build *.egg-info legacy_dags/*.egg-info
	@ls $(DIST)

release: setup ## VERSION=x.y.z: version and changes set, both wheels built and tried out; nothing is published
	@$(BIN)/python -m bench.release $(VERSION)

matrix: setup ## both wheels in environments of their own: each Python on this machine, each Airflow, each dbt
	@$(BIN)/python -m bench.matrix $(MATRIX)

lock: $(TOOLS)/.installed ## refresh requirements/*.txt: versions and hashes, no addresses
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
	  --python-version 3.11 --upgrade --extra dev --output-file requirements/dagster.txt pyproject.toml requirements/build.in
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
	  --python-version 3.11 --upgrade --output-file requirements/airflow.txt requirements/airflow.in
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
	  --python-version 3.11 --upgrade --output-file requirements/airflow3.txt requirements/airflow3.in
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
	  --python-version 3.11 --upgrade --output-file requirements/tools.txt requirements/tools.in

licences: setup ## refresh requirements/licences.md: what the wheel brings, and under which licences
	@$(BIN)/python requirements/licences.py > requirements/licences.md

clean: ## remove data, state and caches; keeps the environments
	rm -rf data .demo .parity .local_defs_state dbt/target* dbt/logs .pytest_cache .mypy_cache .ruff_cache
