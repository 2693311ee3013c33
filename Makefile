# EMS Dash: everything a newcomer or CI needs. `make run` and `make test` need no answers.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# LightGBM's wheel takes OpenMP from the system; a minimal Debian has none.
LIBRARIES := libgomp.so.1:libgomp1
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

# Half of the tests wait for real servers and browsers: three workers keep two cores busy.
# Bytecode is kept, whatever the machine says: the tests start the program dozens of times.
# More threads than cores would wait for each other at full speed.
SIDE_BY_SIDE := -p no:cacheprovider -n 3 --dist loadscope --no-loadscope-reorder

.PHONY: run test packages bytecode lint types style bench docs reference crash-test fuzz soak \
	deploy-test image-test newcomer office-test clean lock audit sbom

# Options of the program: make run ARGS="--port 5051"
run: $(VENV)/.runtime
	@exec $(BIN)/python -m ems_dash run $(ARGS)

test:
	@$(MAKE) --no-print-directory --jobs=4 --output-sync=line packages types style bytecode
	@env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(SIDE_BY_SIDE)

# The programs that tests need; pip works meanwhile.
packages: | $(BIN)/python
	@sh scripts/need_packages.sh $(LIBRARIES) chromium:chromium chromedriver:chromium-driver \
		mosquitto:mosquitto mbpoll:mbpoll socat:socat pg_ctlcluster:postgresql git:git curl:curl \
		cc:'gcc libc6-dev'

# What pip would do for one package after the other, and each of the workers for our own code.
bytecode: $(VENV)/.test
	@$(BIN)/python -m compileall -q -q $(VENV)/lib engine ems_dash pages scripts || true

lint: types style

types: $(VENV)/.test
	$(BIN)/mypy

style: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/bandit -q -c pyproject.toml -ll -r engine ems_dash pages scripts
	$(BIN)/python -m scripts.check_locks

# Known vulnerabilities of the locked packages; asks a service in the internet, so CI only.
audit: $(BIN)/python
	$(BIN)/python -m pip install --quiet pip-audit
	$(BIN)/pip-audit --require-hashes --disable-pip -r requirements/runtime.txt

# What the program is made of, as CycloneDX.
sbom: $(VENV)/.runtime
	@mkdir -p build
	$(BIN)/python -m scripts.check_locks --sbom build/sbom.json

bench: $(VENV)/.test
	$(BIN)/python -m tests.benchmarks

# The documentation, with every warning an error; begin at build/docs/index.html.
docs: $(VENV)/.test
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs

# Pages that are made from the code, after a change of settings, options, routes or signals.
reference: $(VENV)/.test
	$(BIN)/python -m scripts.make_reference

# 2,000 kills and 2,000 simulated power cuts of the history; half an hour on two cores.
crash-test: $(VENV)/.test
	@sh scripts/need_packages.sh cc:'gcc libc6-dev'
	OMP_NUM_THREADS=1 $(BIN)/python tests/faults/crash_campaign.py --kills 2000 --cuts 2000

# The files of deploy with real nginx, Caddy, Mosquitto and systemd's own tools.
deploy-test: $(VENV)/.test
	@sh scripts/need_packages.sh nginx:nginx-light caddy:caddy mosquitto:mosquitto \
		mosquitto_passwd:mosquitto systemd-analyze:systemd setpriv:util-linux
	@$(BIN)/python -m pytest -p no:cacheprovider tests/deploy/real_*.py

# CSV exports opened by a real LibreOffice Calc; half a gigabyte where it is missing.
office-test: $(VENV)/.test
	@sh scripts/need_packages.sh soffice:libreoffice-calc
	@$(BIN)/python -m pytest -p no:cacheprovider tests/office/real_*.py

# Builds the image with buildah and runs it with runc as the composition does; as root.
image-test:
	@scripts/image_check.sh $(ARGS)

# Right and wrong requests made from the API document, by nobody and every role.
fuzz: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/python -m scripts.fuzz_api $(ARGS)

# 50 clients poll the demo program and 30 listen to its events, for ten minutes.
soak: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/python -m scripts.soak $(ARGS)

# From an empty Debian to the first plan, as root; needs the internet and some minutes.
newcomer:
	@scripts/newcomer.sh --port 5050

clean:
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Renews the locks after a change of pyproject.toml; needs the command `uv`. The two are resolved
# apart, because dash[testing] wants an old urllib3 that the runtime should not have.
lock:
	uv pip compile -q pyproject.toml --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" -o requirements/runtime.txt
	uv pip compile -q pyproject.toml --extra test --python-version 3.11 --generate-hashes \
		--no-emit-index-url --custom-compile-command "make lock" -o requirements/test.txt

$(BIN)/python:
	@sh scripts/make_venv.sh "$(PYTHON)" $(VENV)

# Libraries come last, so that pip does not wait for packages that are being installed beside it.
$(VENV)/.runtime: requirements/runtime.txt | $(BIN)/python
	@echo "Installing the locked dependencies (first time only) ..."
	@$(PIP_INSTALL) -r requirements/runtime.txt
	@sh scripts/need_packages.sh $(LIBRARIES)
	@touch $@

$(VENV)/.test: requirements/runtime.txt requirements/test.txt | $(BIN)/python
	@echo "Installing the locked dependencies for tests (first time only) ..."
	@$(PIP_INSTALL) --no-compile -r requirements/test.txt
	@sh scripts/need_packages.sh $(LIBRARIES)
	@touch $@ $(VENV)/.runtime
