# make help   lists what there is to make
#
# Each sets up its own virtual environments; a second run takes seconds for that.

PYTHON ?= python3
VENV := .venv
PYTHON_3_14 ?= python3.14
VENV_2_11 := .venv-2.11
VENV_3_14 := .venv-3.14
BIN := $(VENV)/bin

.PHONY: help demo test lint unit unit-2.11 unit-3.14 fuzz integration bench distributed quality site diagrams licences \
	release lock clean packages postgresql redis chromium screenshots warehouse

help: ## lists what there is to make
	@awk -F ':.*## ' '/^[a-z0-9.-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.installed ## a real DAG turns real scans into text, on this machine alone
	$(BIN)/python scripts/demo.py

# Three at a time, on two cores: they wait for servers, threads and time-outs for a third of the time. Each tells all it
# has to say at its end.
test: lint ## everything that CI runs
	$(MAKE) --no-print-directory --jobs=3 --output-sync=target integration unit unit-2.11 unit-3.14 release

lint: $(VENV)/.installed ## ruff, its format, mypy --strict, the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

unit: $(VENV)/.installed ## unit tests, the guides and the site, Airflow 3.3
	$(BIN)/python -m pytest tests/unit

unit-2.11: $(VENV_2_11)/.installed ## unit tests, Airflow 2.11
	$(VENV_2_11)/bin/python -m pytest tests/unit

# The gate's examples are the same each time; this looks for new ones. What it finds gets a test of its own.
fuzz: $(VENV)/.installed ## the property tests with new examples
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest tests/unit -m hypothesis

# Where there is such a Python: neither Debian nor a package index brings one everywhere.
unit-3.14: ## unit tests on Python 3.14, where there is one
	@if command -v $(PYTHON_3_14) >/dev/null; then $(MAKE) $(VENV_3_14)/.installed \
		&& $(VENV_3_14)/bin/python -m pytest tests/unit; \
	else echo "There is no $(PYTHON_3_14) here: the unit tests are not run on it."; fi

integration: $(VENV)/.installed packages ## a really running Airflow, the vendor's client, the wheel
	$(BIN)/python -m pytest tests/integration

bench: $(VENV)/.installed postgresql ## what we cost, against what a user would do today
	$(BIN)/python -m benchmarks

# One folder in chunks on CeleryExecutor with Redis and PostgreSQL, a worker and a triggerer killed in the middle.
# OPTIONS="--documents 200 --chunk 25" and more: scripts/distributed.py --help.
distributed: $(VENV)/.installed postgresql redis ## one folder on many machines, of which two are killed
	$(BIN)/python -m scripts.distributed $(OPTIONS)

# Ten minutes; WAREHOUSE="--documents 300 --outage 30" is a trial. It fails where a count is wrong.
warehouse: $(VENV)/.installed postgresql ## 10,000 documents in one task of a running Airflow, through an outage and two kills
	$(BIN)/python -m benchmarks.warehouse $(WAREHOUSE)

# How well the emulator reads, by case; COMPARE=FILE sets an earlier run's figures beside.
quality: $(VENV)/.installed ## how well the emulator reads
	$(BIN)/python -m benchmarks.quality --json benchmarks/results/quality.json $(if $(COMPARE),--compare $(COMPARE))

site: $(VENV)/.installed ## the documentation as a site, in build/site; warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Their pictures stand in the repository: only who changes a diagram needs npm and Chromium.
diagrams: $(VENV)/.installed ## draws the diagrams of the documentation that have changed
	$(BIN)/python scripts/draw_diagrams.py

licences: $(VENV)/.installed ## writes docs/licences.md from the pinned environment
	$(BIN)/python scripts/dependencies.py licences

release: $(VENV)/.installed ## what is released, into dist/: built twice and compared, checked, with its SBOM
	$(BIN)/python -m scripts.release

# What the integration tests need of Debian's packages, one installation after the other.
packages:
	@sh scripts/install-postgresql.sh
	@sh scripts/install-chromium.sh
	@sh scripts/install-redis.sh

# The integration tests run a PostgreSQL server of their own, from Debian's packages.
postgresql:
	@sh scripts/install-postgresql.sh

redis: | postgresql
	@sh scripts/install-redis.sh

# The pages of the user interface are looked at in a browser, from Debian's package.
chromium: | postgresql
	@sh scripts/install-chromium.sh

# The pictures of the documentation: docs/pictures/screenshots.
screenshots: $(VENV)/.installed postgresql chromium ## the pictures of the documentation, from a running Airflow in headless Chromium
	$(BIN)/python -m scripts.screenshots

# An environment: its name, the interpreter, the lock file.
define environment
$(1)/.installed: pyproject.toml $(3)
	$(2) -m venv $(1)
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(1)/bin/uv pip install --quiet --python $(1)/bin/python -r $(3)
	$(1)/bin/uv pip install --quiet --python $(1)/bin/python --no-deps -e .
	touch $$@
endef
$(eval $(call environment,$(VENV),$(PYTHON),requirements/airflow-3.3.txt))
$(eval $(call environment,$(VENV_2_11),$(PYTHON),requirements/airflow-2.11.txt))
$(eval $(call environment,$(VENV_3_14),$(PYTHON_3_14),requirements/airflow-3.3.txt))

# Pins what the two environments hold, so that they are the same tomorrow and on another machine.
lock: $(VENV)/.installed ## pins what the environments hold
	echo 'apache-airflow==3.3.*' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header \
		--extra emulator --extra parquet --extra preview --extra openlineage --group lint --group integration \
		--group distributed --group browser --group docs --group release --group bench pyproject.toml - -o requirements/airflow-3.3.txt
	echo 'apache-airflow==2.11.*' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header \
		--extra emulator --extra parquet --extra preview --extra openlineage --group test pyproject.toml - -o requirements/airflow-2.11.txt
	sed -n 's/^requires = \["\(hatchling==[^"]*\)"\]$$/\1/p' pyproject.toml | $(BIN)/uv pip compile --quiet --universal \
		--python-version 3.11 --no-header --generate-hashes - -o requirements/build.txt

clean: ## removes the environments and caches
	rm -rf $(VENV) $(VENV_2_11) $(VENV_3_14) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
