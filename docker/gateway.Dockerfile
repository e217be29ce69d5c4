# syntax=docker/dockerfile:1
# The gateway, with exactly the versions of uv.lock. Image and uv's version come from compose.yaml.

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
    uv sync --frozen --no-default-groups --no-dev --no-install-workspace --package ansflow-gateway
COPY gateway gateway
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-default-groups --no-dev --no-editable --package ansflow-gateway

FROM ${PYTHON_IMAGE}
COPY --from=build /app/.venv /app/.venv
COPY docker/probe.py /app/probe.py
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# The event store's place: a volume that is empty takes the owner of the directory it is mounted on.
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/ansflow
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["ansflow-gateway"]
CMD ["serve"]
