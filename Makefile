# make demo   a real DAG turns real scans into text, on this machine alone
# make test   everything that CI runs
# make bench  what we cost, against what a user would do today
#
# Each sets up its own virtual environments; a second run takes seconds for that.

PYTHON ?= python3
VENV := .venv
VENV_2_11 := .venv-2.11
BIN := $(VENV)/bin

.PHONY: demo test lint unit unit-2.11 integration bench lock clean postgresql

demo: $(VENV)/.installed
	$(BIN)/python scripts/demo.py

test: lint unit unit-2.11 integration

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

unit: $(VENV)/.installed
	$(BIN)/python -m pytest tests/unit

unit-2.11: $(VENV_2_11)/.installed
	$(VENV_2_11)/bin/python -m pytest tests/unit

integration: $(VENV)/.installed postgresql
	$(BIN)/python -m pytest tests/integration

bench: $(VENV)/.installed postgresql
	$(BIN)/python -m benchmarks

# The integration tests run a PostgreSQL server of their own, from Debian's packages.
postgresql:
	@sh scripts/install-postgresql.sh

$(VENV)/.installed: pyproject.toml requirements/airflow-3.3.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements/airflow-3.3.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	touch $@

$(VENV_2_11)/.installed: pyproject.toml requirements/airflow-2.11.txt
	$(PYTHON) -m venv $(VENV_2_11)
	$(VENV_2_11)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(VENV_2_11)/bin/uv pip install --quiet --python $(VENV_2_11)/bin/python -r requirements/airflow-2.11.txt
	$(VENV_2_11)/bin/uv pip install --quiet --python $(VENV_2_11)/bin/python --no-deps -e .
	touch $@

# Pins what the two environments hold, so that they are the same tomorrow and on another machine.
lock: $(VENV)/.installed
	echo 'apache-airflow==3.3.*' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header \
		--extra emulator --group lint --group integration --group bench pyproject.toml - -o requirements/airflow-3.3.txt
	echo 'apache-airflow==2.11.*' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header \
		--extra emulator --group test pyproject.toml - -o requirements/airflow-2.11.txt

clean:
	rm -rf $(VENV) $(VENV_2_11) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
