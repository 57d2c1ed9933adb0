# All set-up happens here: a fresh machine needs Python 3.11 or later and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BUNDLE := model/bundles/ssvp-nano

.PHONY: serve test check bench deploy-test format train-nano evaluate-nano clean

serve: $(VENV)/.serve ## install and start the service; SSVP_* settings are honoured
	$(BIN)/ssvp serve

test: $(VENV)/.dev check ## install and pass every check and test
	$(BIN)/pytest --cov --numprocesses 2 --dist loadfile

check: $(VENV)/.dev ## style, types, import direction
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## how close the service comes to what its stages can do on two cores: two minutes
	$(BIN)/python -m benchmarks.service_ceiling

deploy-test: $(VENV)/.dev ## build the image and run it for real, alone, in pairs and with compose: as root, ten minutes
	tests/deploy/live/run.sh

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

train-nano: $(VENV)/.dev ## train ssvp-nano from scratch and write its bundle: hours on a CPU, resumable
	$(BIN)/ssvp pretrain --config ssvp-nano --seed 2 --out runs/ssvp-nano-first
	$(BIN)/ssvp pretrain --config ssvp-nano --seed 3 --out runs/ssvp-nano-second --start runs/ssvp-nano-first \
		--steps 1650 --half-size 0.36363636 --learning-rate 1e-3
	$(BIN)/ssvp pretrain --config ssvp-nano --seed 4 --out runs/ssvp-nano-towers --start runs/ssvp-nano-second \
		--steps 2750 --half-size 0.61818182 --learning-rate 1.5e-3
	$(BIN)/ssvp train --towers runs/ssvp-nano-towers --seed 4 --out runs/ssvp-nano
	$(BIN)/ssvp export runs/ssvp-nano $(BUNDLE) --version 0.4.1

evaluate-nano: $(VENV)/.dev ## measure the shipped bundle on families it was never trained on
	$(BIN)/ssvp evaluate $(BUNDLE) --data procedural --out runs/evaluate

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(VENV)/bin/pip:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.serve: $(VENV)/bin/pip pyproject.toml
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/.dev: $(VENV)/bin/pip pyproject.toml
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.serve
