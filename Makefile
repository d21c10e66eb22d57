# Two commands: `make run` and `make test`. Each sets up what it needs, once.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test screenshots lock clean

run: .venv/run.stamp
	$(BIN)/python -m core demo
	$(BIN)/streamlit run dashboard/Home.py

test: .venv/test.stamp
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

screenshots: .venv/test.stamp
	$(BIN)/python docs/make_screenshots.py

.venv/run.stamp: requirements.txt requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -c requirements.lock
	touch $@

.venv/test.stamp: requirements-test.txt .venv/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-test.txt -c requirements.lock
	touch $@

# The tested set, for every platform; needs `uv`.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
	  --no-emit-find-links requirements-test.txt --output-file requirements.lock

clean:
	rm -rf .venv workspace
