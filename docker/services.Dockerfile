# syntax=docker/dockerfile:1
# The example services and the instrumentation: of that the services' code knows the health endpoints alone, the
# command (`opentelemetry-instrument …`, in compose.yaml) does the rest.

ARG PYTHON_IMAGE

FROM ${PYTHON_IMAGE} AS build
ARG UV_VERSION
ENV UV_PROJECT_ENVIRONMENT=/app/.venv UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore "uv==${UV_VERSION}"
WORKDIR /src
# Dependencies first: they change less often than the code, so this layer is kept. A workspace is locked as one,
# so every member's pyproject.toml has to be there.
COPY pyproject.toml uv.lock ./
COPY gateway/pyproject.toml gateway/pyproject.toml
COPY instrumentation/pyproject.toml instrumentation/pyproject.toml
COPY examples/pyproject.toml examples/pyproject.toml
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-default-groups --no-dev --no-install-workspace \
    --package ansflow-examples --extra postgres --package ansflow-instrumentation --extra all
COPY instrumentation instrumentation
COPY examples examples
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-default-groups --no-dev --no-editable \
    --package ansflow-examples --extra postgres --package ansflow-instrumentation --extra all

FROM ${PYTHON_IMAGE}
COPY --from=build /app/.venv /app/.venv
COPY docker/probe.py /app/probe.py
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8000 8001 8010
CMD ["opentelemetry-instrument", "uvicorn", "fastapi_service.main:app", "--host", "0.0.0.0", "--port", "8001"]
