# On a machine with Python 3.11 and Java 17, `make demo` and `make test` need nothing set up before.
#
# Everything is installed into .venv by pip, which is slower than other installers but takes its packages from where the
# user's own pip configuration says: in a hospital that is often a mirror.

PYTHON ?= python3.11

BIN := .venv/bin
STAMPS := .venv/stamps
PIP_INSTALL := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt
DEV_EXTRAS := export,train,openvino,map,delta,bench,test,stores,lint,docs

DEMO_NOTES := sparkclin/demo/notes.jsonl
DEMO_INPUT := --input $(DEMO_NOTES) --input-format jsonl
DEMO_NOTE := 1051
DEMO_OUTPUT := out/demo

PIP_INSTALL_LOCKED := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation
PIP_COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe \
  --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options \
  --annotation-style line --constraint constraints.txt

.PHONY: demo test release-test lint docs bench notebooks wheel sbom audit constraints lock pins clean

# Installs the runtime only: no torch, no TensorFlow for Python. The page shows the text of the sample notes.
demo: $(STAMPS)/setup
	@rm -rf $(DEMO_OUTPUT)
	$(BIN)/spark-submit pipelines/embed_notes.py $(DEMO_INPUT) --output $(DEMO_OUTPUT)/vectors
	$(BIN)/spark-submit pipelines/ner_notes.py $(DEMO_INPUT) --output $(DEMO_OUTPUT)/entities \
	  --page $(DEMO_OUTPUT)/entities.html
	@echo
	$(BIN)/sparkclin map $(DEMO_OUTPUT)/vectors --notes $(DEMO_NOTES) --color specialties --hover title \
	  --output $(DEMO_OUTPUT)/map.html
	@echo
	$(BIN)/sparkclin nearest $(DEMO_OUTPUT)/vectors --note $(DEMO_NOTE) -k 5 --notes $(DEMO_NOTES) --show title
	@echo
	$(BIN)/spark-submit examples/stock_pretrained.py

# make test ARGS="-k windows" runs some of the tests. In two processes, because much of a test is waiting for the start
# of another one; each holds a Spark session of up to 6 GB. ARGS="-n 0" is for a debugger. A process that crashes ends
# the run: pytest-xdist 3.8 would start another one, and then wait for ever for modules that the first had finished.
# OpenMP has one thread: the threads of two processes on two cores would wait for each other.
test: export OMP_NUM_THREADS ?= 1
test: $(STAMPS)/dev $(STAMPS)/setup
	$(BIN)/python -m pytest -m "not release" -n 2 --no-loadscope-reorder --max-worker-restart 0 $(ARGS)

# The tests that take minutes and cover what changes rarely: benchmarks, notebooks, exports of the real width, an
# installation without a registry.
release-test: $(STAMPS)/dev $(STAMPS)/setup
	$(BIN)/python -m pytest -m release $(ARGS)

lint: $(STAMPS)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The docs site: build/docs/index.html. A link that leads nowhere fails it.
docs: $(STAMPS)/dev
	@rm -rf build/docs
	$(BIN)/python -m sphinx -b html -q -W --keep-going -c docs -d build/docs.doctrees . build/docs
	@echo "build/docs/index.html"

# Some 57 minutes on an otherwise idle machine, beside making the models; make bench ARGS="--quick" takes 7.
bench: $(STAMPS)/dev $(STAMPS)/setup
	$(BIN)/python -m benchmarks $(ARGS)

# Runs the notebooks of docs/notebooks, and keeps what they show in their files.
notebooks: $(STAMPS)/dev $(STAMPS)/setup
	$(BIN)/python -m testkit.notebooks docs/notebooks/*.ipynb

wheel: $(STAMPS)/dev
	$(BIN)/python -m build

# What the runtime is made of, with the openvino extra and the jars of all operating systems.
sbom: $(STAMPS)/dev
	@mkdir -p build
	$(BIN)/python -W ignore -m cyclonedx_py requirements --pyproject pyproject.toml --output-reproducible \
	  --output-file build/packages.cdx.json requirements/openvino.txt
	$(BIN)/python -m supply.sbom build/packages.cdx.json dist/sparkclin.cdx.json

# Asks the advisory service of PyPI. A package that it has no answer for is a failure.
audit: $(STAMPS)/dev
	$(BIN)/pip-audit --strict --require-hashes --disable-pip --requirement requirements/openvino.txt

# The versions that pip chooses today for what pyproject.toml asks; run the tests before committing them.
constraints:
	rm -rf build/constraints
	$(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip install --quiet --disable-pip-version-check '.[$(DEV_EXTRAS)]'
	grep '^#' constraints.txt > build/constraints/list
	build/constraints/bin/python -m pip freeze --all --exclude pip --exclude sparkclin | grep -vE '^(nvidia-|cuda-|triton)' >> build/constraints/list
	mv build/constraints/list constraints.txt

# The hashes of all files of the releases in constraints.txt that the runtime needs. pyspark is not a wheel: what builds
# it is in build.txt.
lock: $(STAMPS)/dev
	$(PIP_COMPILE) --only-build-deps --build-deps-for wheel --output-file requirements/build.txt pyproject.toml
	$(PIP_COMPILE) --output-file requirements/runtime.txt pyproject.toml
	$(PIP_COMPILE) --extra openvino --output-file requirements/openvino.txt pyproject.toml
	$(PIP_COMPILE) --extra map --output-file requirements/map.txt pyproject.toml

# The hashes of the jars that sparkclin/spark/settings.py asks for; read the difference before you commit it.
pins: $(STAMPS)/dev
	$(BIN)/python -m supply.pins

clean:
	rm -rf .venv build dist out *.egg-info

# Stamps: an install is repeated only when what it depends on has changed.
$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "$(PYTHON) was not found: install Python 3.11, or say which it is: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv .venv

$(STAMPS)/runtime: pyproject.toml requirements/build.txt requirements/runtime.txt | $(BIN)/python
	@echo "Installing what running needs into .venv: Spark is the largest part of some 500 MB"
	@$(PIP_INSTALL_LOCKED) --require-hashes -r requirements/build.txt
	@$(PIP_INSTALL_LOCKED) --require-hashes -r requirements/runtime.txt
	@$(PIP_INSTALL_LOCKED) --no-deps -e .
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dev: pyproject.toml constraints.txt | $(STAMPS)/runtime
	@echo "Installing what exporting, training and testing need into .venv: torch and TensorFlow take some minutes"
	@$(PIP_INSTALL) -e '.[$(DEV_EXTRAS)]'
	@mkdir -p $(STAMPS) && touch $@

# Fetches the jars, and makes .venv/bin/spark-submit work as typed, with our Spark settings. A new pyspark brings pip's
# own launcher back.
$(STAMPS)/setup: $(STAMPS)/runtime $(addprefix sparkclin/spark/,settings.py jars.py jars.sha256 environment.py)
	@$(BIN)/sparkclin setup
	@touch $@
