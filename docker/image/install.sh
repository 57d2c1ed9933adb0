#!/bin/sh
# Installs into /opt/venv what the service needs, or into /opt/ssvp the service; runs while the image is built.
#   install.sh packages cpu|gpu [EXTRAS]
#   install.sh project
# Reads /wheels (files that pip takes instead of an index's, and constraints.txt) and the secrets pip and ca.
set -eu
cd "$(dirname "$0")"

export PIP_FIND_LINKS=/wheels PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
if [ -e /wheels/constraints.txt ]; then export PIP_CONSTRAINT=/wheels/constraints.txt; fi
if [ -e /run/secrets/pip ]; then export PIP_CONFIG_FILE=/run/secrets/pip; fi
if [ -e /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi

install() {
    python3 -m pip --python /opt/venv/bin/python install --progress-bar off "$@"
}

# Both load the same CUDA libraries, which torch brings: another major version of them has other names.
same_cuda() {
    /opt/venv/bin/python -c '
import onnxruntime, torch
found = {str(v).partition(".")[0] for v in (torch.version.cuda, onnxruntime.cuda_version)}
if len(found) > 1:
    raise SystemExit(f"torch is built for CUDA {torch.version.cuda}, onnxruntime for {onnxruntime.cuda_version}")'
}

# What a service never touches: headers, C++ tests and tools of torch, tests of the others, static libraries.
trim() {
    site=$(echo /opt/venv/lib/python3*/site-packages)
    rm -rf "$site/torch/include" "$site/torch/test" "$site/torch/share"
    # Importing torch asks for torch_shm_manager.
    find "$site/torch/bin" -type f ! -name torch_shm_manager -delete
    find "$site" -name '*.a' -delete
    find "$site/numpy" "$site/scipy" "$site/sympy" "$site/networkx" -depth -type d -name tests -exec rm -rf {} +
}

case $1 in
packages)
    python3 requirements.py "$2" "${3:-}" pyproject.toml >requirements.txt
    # From its own index, where one is named, so that no other index can offer a newer version with CUDA.
    grep '^torch' requirements.txt >torch.txt
    install ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} --requirement torch.txt
    install --requirement requirements.txt
    if [ "$2" = gpu ]; then same_cuda; fi
    trim
    ;;
project)
    install --no-deps --target /opt/ssvp .
    ;;
esac
