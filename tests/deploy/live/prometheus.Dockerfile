# Prometheus from a folder with its two programs, for machines that reach no registry.
ARG PYTHON_VERSION=3.12
FROM python:${PYTHON_VERSION}-slim
COPY prometheus promtool /bin/
RUN mkdir /prometheus && chown 65534:65534 /prometheus
USER 65534:65534
ENTRYPOINT ["/bin/prometheus"]
