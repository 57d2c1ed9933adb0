#!/usr/bin/env bash
# `make deploy-test`: builds the cpu image and runs it for real, alone, in pairs and with docker compose.
# Takes about ten minutes and some gigabytes below DEPLOY_TEST_ROOT; KEEP=1 leaves them there for the next run.
# Figures stand in build/deploy-test/report.txt.
set -euo pipefail
cd "$(dirname "$0")/../../.."
work=${DEPLOY_TEST_ROOT:-/var/tmp/ssvp-deploy-test}
mkdir -p "$work" build/deploy-test
: >build/deploy-test/report.txt
. tests/deploy/live/engine.sh
. tests/deploy/live/base_image.sh

report() { echo "$*" | tee -a build/deploy-test/report.txt; }

finish() {
    rm -f docker/wheels/*.whl docker/wheels/constraints.txt
    stop_engine "$work"
}
trap finish EXIT

start_engine "$work"
report "engine: $(docker version --format '{{.Server.Version}}')"
base_image "$work"

# PyTorch's own index of CPU wheels, unless pip here has such a wheel in a folder.
.venv/bin/python -m tests.deploy.live.wheels "$python" docker/wheels
index=()
if [ -e docker/wheels/constraints.txt ]; then
    index=(--build-arg TORCH_INDEX_URL=)
    report "wheels: $(tr '\n' ' ' <docker/wheels/constraints.txt)"
fi
ca=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
build() { docker build --quiet --build-arg "PYTHON_VERSION=$python" "$@" >/dev/null; }
build --target cpu "${index[@]}" --secret "id=ca,src=$ca" --tag ssvp-inspect:cpu .
build --file docker/bundle.Dockerfile --tag ssvp-bundle:test model/bundles/ssvp-nano
report "image: $(($(docker image inspect ssvp-inspect:cpu --format '{{.Size}}') / 1000000)) MB, target cpu"

tests/deploy/live/offline.sh "$python" "$ca" "$work"
report "offline: built again without any network from $(find docker/wheels -name '*.whl' | wc -l) wheels"
rm -f docker/wheels/*.whl docker/wheels/constraints.txt

# Prometheus from its registry, or Debian's in an image for this test.
if ! docker compose pull --quiet prometheus 2>/dev/null; then
    tests/deploy/tools.sh "$work/prometheus" prometheus promtool
    build --file tests/deploy/live/prometheus.Dockerfile --tag ssvp-test/prometheus "$work/prometheus"
    export PROMETHEUS_IMAGE=ssvp-test/prometheus
    report "prometheus: from a package of Debian, since its image cannot be had"
fi
need haproxy haproxy

.venv/bin/pytest --no-header --quiet tests/deploy/live/check_image.py tests/deploy/live/check_replicas.py \
    tests/deploy/live/check_compose.py
tests/deploy/live/checkov.sh "$work"
cat build/deploy-test/report.txt
