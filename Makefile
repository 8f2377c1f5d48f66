# Every target sets up what it needs: a virtual environment in .venv with the package and all of its extras.
PYTHON ?= python3
BIN := .venv/bin
DEMO ?= demo

.PHONY: demo test check integration docs bench wheel clean

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[all,dev]'
	touch .venv/ready

demo: .venv/ready          ## expand ten classes of real pictures with the bundled models; writes $(DEMO)/
	$(BIN)/imaginate demo $(DEMO)

test: .venv/ready          ## level 1: a few minutes on two cores, no network
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 4

integration: .venv/ready   ## level 2: whole commands on real images
	$(BIN)/python -m pytest -q -m integration $(LEVEL2)

check: .venv/ready         ## style, types, import table, docs up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/generate.py --check

docs: .venv/ready          ## write the generated pages
	$(BIN)/python docs/generate.py

bench: .venv/ready         ## the main job's benchmark; numbers go to benchmarks/results/
	$(BIN)/python benchmarks/expand.py

wheel: .venv/ready
	$(BIN)/python -m build --wheel

clean:
	rm -rf .venv build dist
