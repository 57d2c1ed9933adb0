#!/usr/bin/env bash
# Whether a service that was just deployed does its work: docker/smoke_test.sh [http://localhost:8080] [PICTURE]
# It must become ready within a minute, give a verdict on a picture, refuse what is none, and count both. Needs curl.
# With API keys: API_KEY=... docker/smoke_test.sh ...
set -euo pipefail
url=${1:-http://localhost:8080}
picture=${2:-$(dirname "$0")/../docs/samples/leather-hole.png}
key=(${API_KEY:+--header "X-API-Key: $API_KEY"})

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

ask() { # METHOD-AND-BODY... PATH: prints the answer and its status
    curl --silent --show-error --max-time 30 --write-out ' %{http_code}' ${key[@]+"${key[@]}"} "${@:1:$#-1}" "$url${*: -1}"
}

for _ in $(seq 60); do
    curl --silent --fail --max-time 2 --output /dev/null "$url/readyz" && break
    sleep 1
done
curl --silent --show-error --fail --max-time 5 --output /dev/null "$url/readyz" || fail "$url/readyz is not ready"

verdict=$(ask --data-binary "@$picture" '/v1/detect?profile=plc&part_id=smoke-test')
[[ $verdict == *'"part_id":"smoke-test"'*' 200' && $verdict == *'"code":"ok"'* ]] || fail "no verdict: $verdict"
refusal=$(ask --data-binary 'no picture' '/v1/detect?profile=plc')
[[ $refusal == *'"result_code":2'*' 400' ]] || fail "what is no picture was not refused: $refusal"
metrics=
for _ in $(seq 20); do # behind one address there may be several, each with its own count
    metrics+=$(ask /metrics)
done
for outcome in '(ok|ng)' image_unrecognised; do
    [[ $metrics =~ ssvp_requests_total\{outcome=\"$outcome\"\}\ [1-9] ]] || fail "not counted: $outcome"
done
echo "ok: ${verdict% 200}"
