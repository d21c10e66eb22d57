# `make run` and `make test` set up what they need, once.
PYTHON ?= python3
BIN := .venv/bin

# Python keeps what it compiled, whatever the shell says: the tests start some hundred processes of the same files.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test test-all test-gpu bench bench-gpu hard check baseline docs screenshots lock clean

run: .venv/run.stamp
	$(BIN)/python -m core demo
	$(BIN)/streamlit run dashboard/Home.py

# `test` samples the families of networks and skips what is marked slow; `test-all` runs everything.
test: .venv/test.stamp
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-all: .venv/test.stamp
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder --all-families

# Every benchmark against its peer, in one table.
bench: .venv/test.stamp
	$(BIN)/python -m bench.every

# On a machine with an NVIDIA GPU: its tests, and training and scoring against the limits of the card.
test-gpu: .venv/test.stamp
	$(BIN)/python -m pytest tests/gpu tests/training tests/scores

bench-gpu: .venv/test.stamp
	$(BIN)/python -m bench.gpu

# Attacks with a new seed: flipped bytes, mutated inputs, hostile addresses and names, kills, load.
hard: .venv/test.stamp
	$(BIN)/python -m hard

check: .venv/check.stamp
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python tools/check_types.py

# Lowers the baseline of type errors; a larger total is refused.
baseline: .venv/check.stamp
	$(BIN)/python tools/check_types.py --write

docs: .venv/run.stamp
	$(BIN)/python docs/make_cli.py
	$(BIN)/python docs/make_rates_table.py

screenshots: .venv/test.stamp
	$(BIN)/python docs/make_screenshots.py

# Python compiles the files that it uses when it first uses them; pip would compile every file of every package.
.venv/run.stamp: requirements.txt requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.txt -c requirements.lock
	touch $@

.venv/test.stamp: requirements-test.txt .venv/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements-test.txt -c requirements.lock
	touch $@

.venv/check.stamp: requirements-dev.txt .venv/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements-dev.txt -c requirements.lock
	touch $@

# The tested versions, for every platform; needs `uv`.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
	  --no-emit-find-links requirements.txt requirements-test.txt requirements-dev.txt --output-file requirements.lock

clean:
	rm -rf .venv workspace
