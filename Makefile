# make demo   trains on the bundled MNIST, reads samples/, shows the stored rows, and
#             compares them with samples/expected.csv
# make test   runs the tests        make lint   checks the code
# make test-docs   tries every command of the documentation
# make test-faults   runs those that take longer, in short: killed runs, lines that are cut, full
#             disks, strangers' files, clusters
# make test-kernels   runs the tests that compare results on three kernels of NumPy's OpenBLAS,
#             the newest that the processor has; KERNELS="Prescott Haswell" names others
# make test-mysql   runs the tests of the store, of kills and of two detectors at once on
#             Oracle's MySQL, whose packages it fetches from Debian's unstable suite into .venv/mysql
# make soak   runs the tests of faults in full, on the installed server and on Oracle's MySQL, which
#             takes about 45 minutes; with requirements-cluster.txt, those of a cluster, too
# make bench  measures              make clean  removes what the other targets made
# make venv   only installs             make lock   writes the versions with hashes
# make reader installs only what reading needs into an empty environment, and reads samples/;
#             for each Python that is found; then does so with the package
# make default-model   trains the model that comes with the program, and puts it in place
#
# PYTHON=python3.12 make demo   takes another Python; EPOCHS=2 SCENES=2500 make demo trains briefly;
# BENCH="--photos DIR" make bench   also measures pictures of your own (benchmarks/README.md).

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
# A file stays with one process; they take the files in the order of tests/conftest.py.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
FAULTS := tests/faults tests/detection/test_cluster.py
TRIED := tests/docs/test_docs.py

.PHONY: help venv lock reader default-model demo compare test test-docs test-faults test-kernels test-mysql lint bench soak clean

help:
	@sed -n '/^$$/q;s/^# \{0,1\}//p' Makefile

venv: $(READY)

$(READY): $(wildcard requirements*.txt)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "Python 3.10 to 3.13 is needed: name one with make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
		{ echo "Python's venv module is needed (Debian: apt-get install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $(READY)

# Of all that is installed, on each system and Python; pip checks the hashes if there are any.
lock: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	for name in requirements requirements-detector; do \
		UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal \
			--python-version 3.10 --generate-hashes $$name.txt --output-file $$name.lock || exit 1; \
	done

reader:
	$(PYTHON) benchmarks/installing.py
	$(PYTHON) benchmarks/installing.py --package --python $(PYTHON)

default-model: $(READY)
	$(BIN)/python benchmarks/default_model.py

demo: $(READY)
	$(BIN)/python digit_classification_model_trainer.py $(if $(EPOCHS),--epochs $(EPOCHS)) $(if $(SCENES),--scenes $(SCENES))
	@echo "samples/ holds a blank page and a file that is no picture, so the exit code is 1:"
	$(BIN)/python digit_classification_detector.py samples; [ $$? -eq 1 ]
	$(BIN)/python digit_classification_detector.py --show latest
	@$(MAKE) --no-print-directory compare

# The newest run must have read samples/, each picture as samples/expected.csv says.
compare:
	@$(BIN)/python digit_classification_detector.py --show latest --format csv | cut -d, -f1,2 | \
		sed 's|^samples/||; s|,$$|,none|' | diff samples/expected.csv - || \
		{ echo "Not all samples were read as expected: < expected, > read." >&2; exit 1; }
	@echo "All samples were read as expected."

test: $(READY)
	$(PYTEST) $(addprefix --ignore=,$(FAULTS) $(TRIED))

test-docs: $(READY)
	$(PYTEST) --dist load $(TRIED)

test-faults: $(READY)
	$(PYTEST) $(FAULTS)

test-kernels: $(READY)
	for kernel in $(or $(KERNELS),$$($(BIN)/python -m tests.kernels 3)); do \
		echo "OPENBLAS_CORETYPE=$$kernel"; \
		OPENBLAS_CORETYPE=$$kernel $(PYTEST) -q -m same_results || exit 1; \
	done

test-mysql: $(READY)
	mysqld=$$($(BIN)/python -m tests.oracle_mysql .venv/mysql) && \
		DIGITS_TEST_MYSQLD=$$mysqld $(PYTEST) -m server tests/results tests/faults/test_kills.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python benchmarks/speed.py --markdown benchmarks/speed.md
	$(BIN)/python benchmarks/accuracy.py --markdown benchmarks/README.md $(BENCH)
	$(BIN)/python benchmarks/pictures.py --markdown benchmarks/pictures.md --sheet docs/zoo.png

soak: $(READY)
	$(BIN)/python benchmarks/reliability.py --markdown benchmarks/reliability.md

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
