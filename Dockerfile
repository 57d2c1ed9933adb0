# The service as an image. docs/deployment.md says how to build and run it.
#
#   docker build --target cpu --tag ssvp-inspect:cpu .
#   docker build --target gpu --tag ssvp-inspect:gpu .
#   docker build --target gpu --build-arg EXTRAS=train --tag ssvp-inspect:train .
#
# A company's own package index and its CA come in as secrets, packages without any network as files:
#
#   docker build --secret id=pip,src=pip.conf --secret id=ca,src=ca.pem ...
#   pip download ... --dest docker/wheels
ARG PYTHON_VERSION=3.12

FROM python:${PYTHON_VERSION}-slim AS build
WORKDIR /build
COPY docker/image/install.sh docker/image/requirements.py pyproject.toml ./
RUN python3 -m venv --without-pip /opt/venv

# Packages change seldom, the project often: each is a layer of its own, and upgrades move a few megabytes.
FROM build AS packages-cpu
ARG EXTRAS=""
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
RUN --mount=type=bind,source=docker/wheels,target=/wheels \
    --mount=type=secret,id=pip --mount=type=secret,id=ca \
    ./install.sh packages cpu "$EXTRAS"

FROM build AS packages-gpu
ARG EXTRAS=""
ARG TORCH_INDEX_URL=""
RUN --mount=type=bind,source=docker/wheels,target=/wheels \
    --mount=type=secret,id=pip --mount=type=secret,id=ca \
    ./install.sh packages gpu "$EXTRAS"

FROM build AS project
COPY README.md LICENSE ./
COPY app app
COPY model model
RUN --mount=type=bind,source=docker/wheels,target=/wheels \
    --mount=type=secret,id=pip --mount=type=secret,id=ca \
    ./install.sh project

# No compiler, no package of the system, no user but a number: nothing here needs a name or a right.
# /dev/shm is the one place that is writable in every container, read-only or not; importing torch wants such a place.
# onnxruntime reports to its makers unless it is told not to; a line's network is nobody else's business.
FROM python:${PYTHON_VERSION}-slim AS service
ENV PATH=/opt/ssvp/bin:/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/ssvp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    TMPDIR=/dev/shm \
    USER=ssvp \
    ORT_DISABLE_TELEMETRY=1
WORKDIR /opt/ssvp
EXPOSE 8080
COPY --chmod=0644 docker/image/healthcheck.py /opt/healthcheck.py
# Healthy means that images are inspected now, so it asks /readyz: compose waits for it before it starts others.
# Docker restarts nothing because of it; a process that cannot serve ends by itself, one whose device hangs after
# five minutes.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "/opt/healthcheck.py"]
ENTRYPOINT ["ssvp"]
CMD ["serve"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="SSVP Inspect" \
      org.opencontainers.image.description="Visual inspection as a service: one image per part in, OK or NG out" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

# torch brings CUDA's libraries, onnxruntime the one that torch lacks: the host gives the driver, nothing else.
# One that is too old for them is refused when the container starts.
FROM service AS gpu
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NVIDIA_REQUIRE_CUDA="cuda>=13.0"
COPY --from=packages-gpu /opt/venv /opt/venv
COPY --from=project /opt/ssvp /opt/ssvp
USER 65532:65532

FROM service AS cpu
COPY --from=packages-cpu /opt/venv /opt/venv
COPY --from=project /opt/ssvp /opt/ssvp
USER 65532:65532
