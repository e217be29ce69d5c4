# syntax=docker/dockerfile:1
# The Collector, from the same manifest as `ansflow collector build`. The images come from compose.yaml.

ARG GO_IMAGE
ARG RUNTIME_IMAGE

FROM ${GO_IMAGE} AS build
ENV CGO_ENABLED=0 GOFLAGS=-trimpath
WORKDIR /build
COPY collector-config/builder.yaml manifest.yaml
# The builder has to be of the manifest's version, so that is where it is read: dist.version.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    version="$(sed -n '/^dist:/,/^[^ #]/ s/^  version: *//p' manifest.yaml)" \
    && test -n "${version}" \
    && go install "go.opentelemetry.io/collector/cmd/builder@v${version}"
# The manifest has no output path, being for any machine; here it is this stage's.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    sed 's|^dist:$|dist:\n  output_path: /build/out|' manifest.yaml > builder.yaml \
    && /go/bin/builder --config builder.yaml --ldflags="-s -w" \
    && test -x /build/out/ansflow-otelcol

# With a shell's worth of tools, as the health check needs an HTTP client.
FROM ${RUNTIME_IMAGE}
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /build/out/ansflow-otelcol /usr/local/bin/ansflow-otelcol
USER 10001:10001
EXPOSE 4317 4318 8888 8889 13133
ENTRYPOINT ["ansflow-otelcol"]
