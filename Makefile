# Every target works from a bare clone: the environment and the install are made when they are missing.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install -q -c constraints.txt
METADATA := settings.ini setup.py constraints.txt

demo: .venv/run            ## train on real splice junctions, write demo/lens.html
	$(BIN)/genomic-lens demo --out demo/

lab: .venv/lab             ## JupyterLab on the first tutorial
	$(BIN)/jupyter lab --ip=127.0.0.1 tutorials/00_first_lens.ipynb

test bench: export OMP_NUM_THREADS = 1  # tiny models: threads that wait for each other cost more than they give
test: .venv/dev            ## everything that CI checks; pytest's closing line comes last
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/python tools/nb.py check
	$(BIN)/nbdev_test
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

sync: .venv/dev            ## notebooks -> package and README, then strip what should not be committed
	$(BIN)/python tools/nb.py sync

docs: .venv/docs           ## the documentation site, in _docs/
	$(BIN)/python docs/build.py --out _docs

bench: .venv/run           ## the measurements behind the figures in the documentation
	$(BIN)/python benchmarks/accuracy.py

wheel: .venv/dev           ## the tutorials from a clean environment that holds only the built wheel
	$(BIN)/python tools/check_wheel.py

# One stamp a set of requirements: `make demo` does not wait for the developers' tools.
.venv/run: $(METADATA)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) -e .
	touch $@
.venv/lab .venv/dev .venv/docs: .venv/%: .venv/run
	$(PIP) -e '.[$*]'
	touch $@

.PHONY: demo lab test sync docs bench wheel
