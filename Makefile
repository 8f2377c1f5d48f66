# Every target sets up what it needs: a virtual environment with the package, all of its extras, in the versions of $(LOCK).
# Modules are compiled when they are first imported: most of them never are.
# Another Python: make test PYTHON=python3.14 VENV=build/python3.14
PYTHON ?= python3
VENV ?= .venv
LOCK ?= requirements-dev.lock
BIN := $(VENV)/bin
UV := build/uv/bin/uv
DEMO ?= demo

.PHONY: demo test test-lowest check integration docs site bench findings wheel lock clean

$(VENV)/ready: pyproject.toml $(LOCK)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --no-compile --no-deps --require-hashes -r $(LOCK)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $(VENV)/ready

$(UV):
	$(PYTHON) -m venv build/uv
	build/uv/bin/python -m pip install --quiet uv

demo: $(VENV)/ready        ## expand ten classes of real pictures with the bundled models; writes $(DEMO)/
	$(BIN)/imaginate demo $(DEMO)

test: $(VENV)/ready        ## level 1: a few minutes on two cores, no network
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 4

test-lowest: $(UV)         ## level 1 with the oldest versions that pyproject.toml allows (and the oldest Python: give PYTHON)
	$(UV) pip compile --quiet --python $(PYTHON) --resolution lowest-direct --all-extras --generate-hashes pyproject.toml -o build/lowest.txt
	$(MAKE) test VENV=build/lowest LOCK=build/lowest.txt

integration: $(VENV)/ready ## level 2: whole commands on real images
	$(BIN)/python -m pytest -q -m integration $(LEVEL2)

check: $(VENV)/ready       ## style, types, import table, docs up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/generate.py --check

docs: $(VENV)/ready        ## write the generated pages
	$(BIN)/python docs/generate.py

site: $(VENV)/ready        ## the docs as a site, strict: build/site/index.html
	PYTHONPATH=src NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(VENV)/ready       ## the main job's benchmark; numbers go to benchmarks/results/
	$(BIN)/python benchmarks/expand.py

findings:                  ## what surprised us in other software: does it still behave so? Needs the network
	@for script in findings/*.sh; do echo "== $$script"; bash $$script || exit 1; done

wheel: $(VENV)/ready
	$(BIN)/python -m build --wheel

lock: $(UV)                ## renew $(LOCK): the newest versions that pyproject.toml allows, for every platform and Python
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --generate-hashes --no-annotate pyproject.toml -o $(LOCK)

clean:
	rm -rf .venv build dist
