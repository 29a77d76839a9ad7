# The image of each service, and of compose.yaml's one-shot jobs: `--target` says which one, and
# PACKAGES what of the workspace is in it. `make images` passes both. Nothing of BuildKit is used:
# buildah and old engines build it too.
# All starts from BASE, which needs python3 3.13 with venv. A release pins its digest.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
ARG UV_VERSION=0.13.8
ENV UV_PROJECT_ENVIRONMENT=/opt/wasmlet \
    UV_PYTHON_DOWNLOADS=never \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1
RUN python3 -m venv /opt/uv \
    && /opt/uv/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check \
        uv==${UV_VERSION}
WORKDIR /source
ARG PACKAGES
# The dependencies are a layer of their own: they change with uv.lock, not with the code.
# The client library `kubernetes` (120 MB) only runs credential plugins, and an image has none.
COPY pyproject.toml uv.lock ./
RUN /opt/uv/bin/uv sync --frozen --no-dev --no-install-workspace --no-install-package kubernetes \
        $(printf ' --package %s' ${PACKAGES:?names of packages of the workspace})
COPY packages packages
COPY services services
RUN /opt/uv/bin/uv sync --locked --no-dev --no-editable --no-install-package kubernetes \
        $(printf ' --package %s' ${PACKAGES})

FROM ${BASE} AS environment
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY LICENSE /licenses/wasmlet
# A named volume takes the owner of the folder that it is mounted on first.
RUN install -d -o 65532 -g 65532 -m 0700 /var/lib/wasmlet
COPY --from=build /opt/wasmlet /opt/wasmlet
# Bytecode was compiled above: nothing is written at run time, so the root can be read-only.
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532

FROM environment AS node-registrar
LABEL org.opencontainers.image.title="wasmlet node-registrar" \
      org.opencontainers.image.description="Node objects, Leases and conditions of a kubelet for WebAssembly"
ENV WASMLET_ADMIN_PORT=9400
ENTRYPOINT ["/opt/wasmlet/bin/python", "-m", "node_registrar"]

FROM environment AS pod-reconciler
LABEL org.opencontainers.image.title="wasmlet pod-reconciler" \
      org.opencontainers.image.description="What each Node of a kubelet for WebAssembly should run"
ENV WASMLET_ADMIN_PORT=9400
ENTRYPOINT ["/opt/wasmlet/bin/python", "-m", "pod_reconciler"]

FROM environment AS log-server
LABEL org.opencontainers.image.title="wasmlet log-server" \
      org.opencontainers.image.description="The kubelet HTTPS API of a kubelet for WebAssembly"
ENV WASMLET_ADMIN_PORT=9400
EXPOSE 10250
ENTRYPOINT ["/opt/wasmlet/bin/python", "-m", "log_server"]

# Its keeper is PID 1 and reaps what the rest leaves.
FROM environment AS wasm-executor
LABEL org.opencontainers.image.title="wasmlet wasm-executor" \
      org.opencontainers.image.description="One Node's containers, as WebAssembly"
ENV WASMLET_ADMIN_PORT=9400 \
    WASMLET_DATA_DIR=/var/lib/wasmlet \
    WASMLET_RUN_DIR=/run/wasmlet \
    WASMLET_LOG_ROOT=/var/lib/wasmlet/logs
ENTRYPOINT ["/opt/wasmlet/bin/python", "-m", "wasm_executor"]

# The engine turns the text of the example modules into modules; it stays in this stage.
FROM build AS modules
RUN UV_PROJECT_ENVIRONMENT=/opt/engine /opt/uv/bin/uv sync --locked --no-dev \
        --no-install-workspace --package wasm-executor
COPY examples examples
RUN mkdir /modules \
    && for text in examples/hello/hello.wat examples/guests/counter.wat; do \
        /opt/engine/bin/python -c 'import sys, wasmtime; \
open(sys.argv[2], "wb").write(wasmtime.wat2wasm(open(sys.argv[1]).read()))' \
            "$text" "/modules/$(basename "$text" .wat).wasm" || exit 1; \
    done

# The command line, the maker of certificates, and the example modules.
FROM environment AS compose-jobs
LABEL org.opencontainers.image.title="wasmlet compose-jobs" \
      org.opencontainers.image.description="One-shot jobs of wasmlet's compose.yaml"
COPY --from=modules /modules /modules
COPY deploy/runtimeclass.yaml packages/cli/src/wasmlet/rbac.yaml /deploy/
COPY compose/jobs/compose_jobs /jobs/compose_jobs
ENV PYTHONPATH=/jobs
ENTRYPOINT ["/opt/wasmlet/bin/python", "-m", "compose_jobs"]
