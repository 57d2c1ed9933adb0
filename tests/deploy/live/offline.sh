#!/usr/bin/env bash
# Builds the cpu image with no network at all, from wheels as docs/deployment.md collects them: offline.sh PYTHON CA WORK
# docker/wheels may hold torch already. A container of the base image chooses the wheels, so that they fit its Python.
set -euo pipefail
cd "$(dirname "$0")/../../.."
python=$1
ca=$2
work=$3
printf '[global]\nno-index = true\n' >"$work/no-index.conf"

docker run --rm --volume "$PWD:/src:ro" --volume "$PWD/docker/wheels:/wheels" --volume "$ca:/ca.pem:ro" \
    --env PIP_CERT=/ca.pem --env PIP_FIND_LINKS=/wheels "python:$python-slim" sh -euc '
        if [ -e /wheels/constraints.txt ]; then export PIP_CONSTRAINT=/wheels/constraints.txt; fi
        python3 /src/docker/image/requirements.py cpu "" /src/pyproject.toml >/tmp/requirements.txt
        python3 -m pip download --quiet --requirement /tmp/requirements.txt "hatchling>=1.26,<2" --dest /wheels'

docker build --quiet --network none --no-cache --target cpu --build-arg "PYTHON_VERSION=$python" \
    --build-arg TORCH_INDEX_URL= --secret "id=pip,src=$work/no-index.conf" --tag ssvp-inspect:offline . >/dev/null
docker run --rm --network none ssvp-inspect:offline settings >/dev/null
