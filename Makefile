# make demo: sets up and runs the main job; make test: sets up and runs the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DIGITS := examples/digits
OUT := demo/digits

.PHONY: demo test lint bench clean

demo: $(VENV)/.run
	mkdir -p demo
	$(BIN)/nervure compile $(DIGITS)/digits.nir -o $(OUT)
	$(BIN)/nervure verify $(OUT) --input $(DIGITS)/test.npz
	$(BIN)/nervure synth $(OUT) --bitstream
	$(BIN)/nervure evaluate $(OUT) --input $(DIGITS)/test.npz
	@echo "The report: $(OUT)/report.html"

test: $(VENV)/.test lint
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.test
	for bench in tests/bench/bench_*.py; do $(BIN)/python $$bench || exit 1; done

# An environment with what running needs, and one step further, with what the tests need.
$(VENV)/.run: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.test: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .[test]
	touch $@

clean:
	rm -rf $(VENV) demo build dist *.egg-info
