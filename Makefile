# `make demo` and `make test` do all the set-up on a fresh machine. PIP_FLAGS goes to pip, for instance an index of CPU builds of torch.
PYTHON ?= python3
PIP_FLAGS ?=
VENV := .venv
GSEG := $(VENV)/bin/gseg
ENGINE := $(shell nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)
STAMP := $(VENV)/.installed-$(ENGINE)

.PHONY: demo test check assets bench docs clean

demo: $(STAMP)
	$(GSEG) demo -o demo --overwrite

test: $(STAMP)
	$(VENV)/bin/pytest -q -n logical --maxprocesses 4 --dist worksteal

check: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

assets: $(STAMP)
	$(VENV)/bin/python -m benchmarks.assets

docs: $(STAMP)
	$(VENV)/bin/python docs/make_cli.py

bench: $(STAMP)
	$(VENV)/bin/python -m benchmarks.autoshot
	$(VENV)/bin/python -m benchmarks.invert
	$(VENV)/bin/python -m benchmarks.precision
	$(VENV)/bin/python -m benchmarks.startup

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q --no-compile --progress-bar off $(PIP_FLAGS) -c constraints.txt -e '.[$(ENGINE),fast,train,pretrained,annotate,label,export,dev]'
	$(VENV)/bin/python -m compileall -qq -j 0 $(VENV)/lib || true # on all cores, pip uses one; what is no Python is passed over, as pip does
	touch $@

clean:
	rm -rf $(VENV) demo
