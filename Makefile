# Everything that people and CI do with this project. `make help` lists it.
# Paths are relative throughout, so that the checkout may lie in a folder whose name has a space.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

UV_VERSION := 0.13.8
UV := .tools/uv/bin/uv
PYTHON := .venv/bin/python
WASMLET := $(PYTHON) -m wasmlet
PYTEST := $(PYTHON) -m pytest
# Each part remembers by itself what failed.
PART = $(PYTEST) -o cache_dir=.pytest_cache/$@
REGISTRY ?=
NODES ?= 1
KUBECONFIG_FILE ?= .dev/kubeconfig
REGISTRY_PORT ?= 5000
# Of the container images: what they are made from and called; BUILDER is docker where an engine
# answers, else buildah. IMAGE_ARGS takes more flags of its `build`.
BASE ?= python:3.13-slim
IMAGE_PREFIX ?= wasmlet
IMAGE_TAG ?= dev
IMAGE_ARGS ?=
COMPOSE ?= docker compose
BUILDER ?= $(shell docker info >/dev/null 2>&1 && echo docker || echo buildah)
IMAGES := node-registrar pod-reconciler wasm-executor log-server
EXECUTOR := services/wasm-executor
# End-to-end tests that share no node with others: a control plane of their own costs them little.
FAULTS := $(wildcard tests/e2e/test_faults_*.py) tests/e2e/nodes tests/e2e/test_node_drain.py \
	tests/e2e/test_static_pods.py tests/e2e/test_admission_restart.py
PROJECTS := $(wildcard packages/*/pyproject.toml services/*/pyproject.toml)
# The executor's tests have a conftest per topic, so each topic is a folder of its own for mypy.
FOLDERS := $(wildcard packages/* services/[!w]*) services/wasm-executor/src \
	$(wildcard services/wasm-executor/tests/*) tests/e2e tests/chart tests/model \
	tests/compose tests/images tests/again compose benchmarks dev

.PHONY: help
help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sort | awk -F ':.*## ' '{printf "%-16s %s\n", $$1, $$2}'

$(UV):
	@python3 -m venv .tools/uv
	@.tools/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.synced: pyproject.toml uv.lock $(PROJECTS) | $(UV)
	@UV_PYTHON="$$(sh dev/find-python)" $(UV) sync --locked --all-packages --quiet
	@touch .venv/.synced

.PHONY: setup
setup: .venv/.synced ## Install everything that the project needs into .venv

.PHONY: run
run: setup ## Run the hello example without a cluster, until it has ended
	@$(WASMLET) up --manifests examples/hello --until-complete --log-level warning

.PHONY: control-plane
control-plane: setup ## Build etcd, Kubernetes and the registry; the last line is their folder
	@$(PYTHON) -m controlplane build

.PHONY: cluster
cluster: setup ## Run a real control plane in the foreground; writes KUBECONFIG_FILE=.dev/kubeconfig
	@$(PYTHON) -m controlplane build >/dev/null
	@exec $(PYTHON) -m controlplane cluster --kubeconfig "$(KUBECONFIG_FILE)"

.PHONY: registry
registry: setup ## Run a registry (plain HTTP) on 127.0.0.1:5000 in the foreground; REGISTRY_PORT=n
	@exec $(PYTHON) -m controlplane registry --port $(REGISTRY_PORT)

.PHONY: join
join: setup ## Join that cluster as a node; REGISTRY=host:port (plain HTTP), NODES=n, KUBECONFIG_FILE=f, ARGS=...
	@# A data directory belongs to one `wasmlet up`, so each cluster's node has its own.
	@exec $(WASMLET) up --kubeconfig "$(KUBECONFIG_FILE)" --data-dir "$(KUBECONFIG_FILE).node" \
		--kubelet-port 0 --nodes $(NODES) \
		$(if $(REGISTRY),--insecure-registry $(REGISTRY)) $(ARGS)

.PHONY: fresh-records
fresh-records:
	@# What failed in a run of before is nothing to this one.
	@rm -rf .pytest_cache/test-*

.PHONY: test
test: fresh-records setup ## All tests: units, services, and end to end on a real control plane
	@$(PYTHON) -m controlplane build >/dev/null
	@# All four mostly wait, so three run side by side; each shows its report when it is over.
	@$(MAKE) --no-print-directory --jobs=3 --keep-going --output-sync=target \
		test-executor test-cluster test-faults test-parts

.PHONY: test-parts
test-parts: setup ## A part of `make test`: packages and services, each by itself, but the executor
	@$(PYTHON) -m controlplane build >/dev/null
	@$(PART) -m "not slow" packages services tests/model tests/compose tests/images tests/again \
		--ignore=$(EXECUTOR)

.PHONY: test-executor
test-executor: setup ## A part of `make test`: the executor by itself
	@$(PYTHON) -m controlplane build >/dev/null
	@$(PART) -m "not slow" $(EXECUTOR)

.PHONY: test-cluster
test-cluster: setup ## A part of `make test`: end to end on a real control plane
	@$(PYTHON) -m controlplane build >/dev/null
	@$(PART) -m "not slow" tests/e2e tests/chart $(FAULTS:%=--ignore=%)

.PHONY: test-faults
test-faults: setup ## A part of `make test`: end to end, where nodes and their parts die
	@$(PYTHON) -m controlplane build >/dev/null
	@$(PART) -m "not slow" $(FAULTS)

.PHONY: guest-compiler
guest-compiler: setup
	@# --inexact: what somebody added (`--group go`, say) stays.
	@UV_PYTHON="$$(sh dev/find-python)" $(UV) sync --locked --inexact --all-packages --group guests --quiet

.PHONY: test-slow
test-slow: fresh-records guest-compiler ## What takes long, or needs Debian's packages; DEADLINE=epoch s starts no more then
	@$(PYTHON) -m controlplane build >/dev/null
	@$(PART) -m "slow or debian" $(if $(DEADLINE),--deadline $(DEADLINE))

.PHONY: test-failed
test-failed: PARTS = test-executor test-cluster test-faults test-parts
test-failed: setup ## The few that failed in the last `make test`, once more by themselves; PARTS=test-slow
	@$(PYTHON) dev/failed_again.py $(PARTS)

.PHONY: debian-packages
debian-packages: ## Install what tests are otherwise skipped for (Debian's packages; root)
	@sh dev/debian-packages

.PHONY: lint
lint: setup ## Lint, format, types and layers
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@# One run per folder: test folders are no packages, and each has its own conftest.
	@for folder in $(FOLDERS); do $(PYTHON) -m mypy "$$folder" || exit 1; done
	@$(PYTHON) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	@$(PYTHON) dev/document_settings.py --check
	@$(PYTHON) dev/document_states.py --check
	@$(PYTHON) dev/document_pod_spec.py --check
	@$(PYTHON) dev/chart_files.py --check

.PHONY: docs
docs: setup ## Write the pages that are made from the code
	@$(PYTHON) dev/document_settings.py
	@$(PYTHON) dev/document_states.py
	@$(PYTHON) dev/document_pod_spec.py
	@$(PYTHON) dev/chart_files.py

.PHONY: chart-goldens
chart-goldens: setup ## Write what the Helm chart renders into tests/chart/golden
	@PYTHONPATH=tests/chart/support $(PYTHON) -m chart.golden

.PHONY: bench
bench: setup ## Measure start, burst, status writes, memory and logs on a real control plane
	@$(PYTHON) -m controlplane build >/dev/null
	@$(PYTHON) -m benchmarks

.PHONY: images
images: ## Build the services' container images; BASE=image, IMAGE_PREFIX=, IMAGE_TAG=, BUILDER=
	@for name in $(IMAGES); do $(MAKE) --no-print-directory "image-$$name" || exit 1; done

image-%: PACKAGES = $*
image-compose-jobs: PACKAGES = wasmlet controlplane
image-%:
	@$(BUILDER) build $(IMAGE_ARGS) --quiet --target "$*" --build-arg "PACKAGES=$(PACKAGES)" \
		--tag "$(IMAGE_PREFIX)/$*:$(IMAGE_TAG)" --build-arg "BASE=$(BASE)" \
		--build-arg "UV_VERSION=$(UV_VERSION)" \
		--build-arg "REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown)" . >/dev/null
	@$(BUILDER) images --format '{{.$(if $(findstring buildah,$(BUILDER)),Name,Repository)}}:{{.Tag}} {{.Size}}' \
		"$(IMAGE_PREFIX)/$*:$(IMAGE_TAG)"

.PHONY: compose
compose: images image-compose-jobs ## Run a whole cluster in containers: docs/compose.md; COMPOSE='docker compose'
	@BASE="$(BASE)" IMAGE_PREFIX="$(IMAGE_PREFIX)" IMAGE_TAG="$(IMAGE_TAG)" $(COMPOSE) up --detach --wait
	@echo "cluster ready: kubectl --kubeconfig .dev/compose/kubeconfig apply -f compose/example.yaml"

HAS_WASIP2 = rustc --print sysroot >/dev/null 2>&1 && test -d "$$(rustc --print sysroot)/lib/rustlib/wasm32-wasip2"

.PHONY: examples
examples: guest-compiler ## Build the example guests into .dev/guests (text, C, Go, Rust, Python, JavaScript)
	@mkdir -p .dev/guests
	@$(PYTHON) -c 'import wasmtime; open(".dev/guests/counter.wasm", "wb").write(wasmtime.wat2wasm(open("examples/guests/counter.wat").read()))'
	@$(PYTHON) -m ziglang cc -target wasm32-wasi -Os -s -o .dev/guests/hello.wasm examples/guests/hello.c
	@if command -v go >/dev/null; then \
		(cd examples/guests/hello-go && GOOS=wasip1 GOARCH=wasm go build -o ../../../.dev/guests/hello-go.wasm .) && \
		sh examples/toolbox/build .dev/guests/toolbox.wasm && sh examples/http-go/build .dev/guests/http-go.wasm; \
	else echo 'no hello-go, no toolbox, no http-go: they want Go 1.26 or newer'; fi
	@if $(HAS_WASIP2); then \
		rustc --target wasm32-wasip2 -C opt-level=s -C strip=symbols -o .dev/guests/hello-rust.wasm examples/guests/hello.rs; \
	else echo 'no hello-rust: it wants rustc with wasm32-wasip2 (rustup target add)'; fi
	@if command -v cargo >/dev/null && $(HAS_WASIP2); then sh examples/http-rust/build .dev/guests/http-rust.wasm; \
	else echo 'no http-rust: it wants cargo, and rustc with wasm32-wasip2'; fi
	@if command -v cargo >/dev/null; then sh examples/http-python/build .dev/guests/http-python.wasm; \
	else echo 'no http-python: it wants cargo, for the WASI definitions'; fi
	@if command -v cargo >/dev/null && command -v npm >/dev/null; then \
		sh examples/http-javascript/build .dev/guests/http-javascript.wasm; \
	else echo 'no http-javascript: it wants npm and cargo'; fi
	@ls .dev/guests

.PHONY: format
format: setup ## Format the code and mend what ruff can mend
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

.PHONY: clean
clean: ## Remove what the other targets made in this folder
	rm -rf .venv .tools .dev .mypy_cache .ruff_cache .pytest_cache
