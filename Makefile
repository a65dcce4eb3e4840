# The developers' interface. Needs Python 3.11 or newer, git and make; everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
CORES ?= all
# One more than there are cores: some tests wait for SLURM or for a process that they stopped.
WORKERS ?= $(shell expr $$(nproc) + 1)
# A machine that sets it would compile vidkd anew in each of hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-all packages test-fast lint fmt bench lock clean

demo: .venv/.installed  ## generate the demo's videos, train everything, print the table
	$(BIN)/snakemake --cores $(CORES)
	$(BIN)/python -m workflow_scripts.show_tables results/ffn/tfd.csv results/features/probes.csv \
		results/converters/quality.csv results/fusion/fusion.csv results/student/teachers.csv \
		results/student/student.csv results/report/tables/summary.csv --page results/report/index.html

test:  ## everything
	$(MAKE) --jobs 2 packages .venv/.installed-dev
	$(MAKE) --jobs 2 lint test-all

test-all: .venv/.installed-dev
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder --durations 40

packages:  ## the Debian packages of some tests, where root may install them
	tests/system_packages.sh

test-fast: .venv/.installed-dev  ## under three minutes, for daily work
	$(BIN)/python -m pytest -m "not slow"

lint: .venv/.installed-dev  ## formatting, style, types, workflow, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/python -m workflow_scripts.write_config_docs --check

fmt: .venv/.installed-dev  ## format code and rules, write the generated files anew
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules
	$(BIN)/python -m workflow_scripts.write_config_docs

bench: .venv/.installed-dev  ## ratios of speed; tables in benchmarks/results
	$(PIP) --editable '.[bench]'  # what it is compared with; without it, the tables would lose these columns
	for script in benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

lock: .venv/.installed-dev  ## write constraints.txt from what is installed
	(head -n 1 constraints.txt; $(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//') > constraints.new
	mv constraints.new constraints.txt

clean:  ## remove the environment; results stay
	rm -rf .venv

$(BIN)/python:
	$(PYTHON) -m venv .venv

.venv/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	touch $@

.venv/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --no-compile --editable '.[dev]'  # what is imported is compiled then: two minutes less
	touch .venv/.installed $@
