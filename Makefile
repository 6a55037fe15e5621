# Every target sets up what it needs: `make demo` on a fresh clone is enough.
#
#   make demo      run the quickstart recipe with the built-in models
#   make test      the whole test suite, the real models included
#   make check     lint, types, import rules and the fast tests: run before a commit
#   make bench     how close to the machine: measurements, with WHOLE=1 over an hour of them; none fails on a clock
#   make evidence  what the claims in docs/evidence.md rest on: many hours, resumable
#                  both take DATA=folder, with trec, snips, sst2 and gsm8k as docs/evals.md has them; without it bench takes the
#                  built-in tickets, and evidence does only what needs no data
#   make install   only the environment in .venv (PYTHON=python3.12 chooses another interpreter)
#   make clean     remove what make made; runs/ is kept

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.installed

.DEFAULT_GOAL := install
.PHONY: install demo test check lint fast bench evidence clean

install: $(READY)

# torch goes first and alone: it is the large one, and an index or wheel folder set up for pip decides which build.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	touch $@

demo: $(READY)
	$(BIN)/llm2llm run quickstart

test: $(READY)
	$(BIN)/python -m pytest -n 2

check: lint fast

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

fast: $(READY)
	$(BIN)/python -m pytest -m "not real" -n 2

bench: $(READY)
	set -e; for name in peak gpu round scorers; do echo "== $$name"; $(BIN)/python tests/bench/$$name.py; done
	@echo "== curate"; $(BIN)/python tests/bench/curate.py $(if $(WHOLE),,10000 20000)
	set -e; for name in train examine memory scale; do echo "== $$name"; $(BIN)/python tests/bench/$$name.py $(DATA) $(if $(WHOLE),--whole); done

evidence: $(READY)
	$(BIN)/python tests/bench/claims.py
	$(if $(DATA),set -e; for name in guard meaning witnesses strategies; do echo "== $$name"; $(BIN)/python tests/bench/$$name.py $(DATA); done)
	$(if $(DATA),$(BIN)/python tests/bench/training.py --data $(DATA) && $(BIN)/python tests/bench/gain.py --data $(DATA) && $(BIN)/python tests/bench/changes.py --data $(DATA) && $(BIN)/python tests/bench/amount.py --data $(DATA) --draws 3 && $(BIN)/python tests/bench/again.py --data $(DATA) && $(BIN)/python tests/bench/aim.py --data $(DATA) --draws 3,@echo "gain.py needs DATA=folder or the hub: python tests/bench/gain.py")

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find agent loops teacher student tests -name __pycache__ -type d -prune -exec rm -rf {} +
