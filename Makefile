# make book: the site in _build/html. make test: everything that is promised. make faults: kills, full disks and bad input at full size.
# make lab: the laboratory's arithmetic, after a change of network.c.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: book lab test faults lint notebooks clean

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -r requirements.txt
	$(BIN)/pip install --quiet --no-deps -e .
	touch $@

# The site needs no torch: an environment of its own.
.venv-book/installed: requirements-book.txt
	$(PYTHON) -m venv .venv-book
	.venv-book/bin/pip install --quiet -r requirements-book.txt
	touch $@

book: .venv-book/installed
	.venv-book/bin/jupyter-book build . -W --keep-going

# The compiler is large, and nobody else needs it.
.venv-lab/installed: requirements-lab.txt
	$(PYTHON) -m venv .venv-lab
	.venv-lab/bin/pip install --quiet -r requirements-lab.txt
	touch $@

lab: .venv-lab/installed
	.venv-lab/bin/python .ci/build_lab.py

test: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadfile --durations=15 --nbval book/ tests/

# `make test` runs a small version of this.
faults: .venv/installed
	FAULTS=full OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadfile --durations=15 tests/faults

lint: .venv/installed
	$(BIN)/ruff check hanq tests
	$(BIN)/ruff format --check hanq tests
	$(BIN)/mypy

# Run every notebook and store its outputs; `make test` then compares against them.
notebooks: .venv/installed
	TQDM_DISABLE=1 $(BIN)/python .ci/run_notebooks.py book/*.ipynb

clean:
	rm -rf _build .venv .venv-book .venv-lab
