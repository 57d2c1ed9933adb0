# shellcheck shell=bash
# Sourced by run.sh: a Docker engine with compose and buildx. One that answers is used as it is; otherwise Debian's is
# installed and started beside whatever else runs, on a socket and in a folder of its own.

start_engine() { # WORK
    local work=$1
    if docker info >/dev/null 2>&1; then
        echo "a Docker engine answers already"
    else
        need docker.io dockerd
        need iptables iptables
        export DOCKER_HOST=unix://$work/docker.sock
        dockerd --host "$DOCKER_HOST" --data-root "$work/data" --exec-root "$work/exec" \
            --pidfile "$work/dockerd.pid" >"$work/dockerd.log" 2>&1 &
        engine=$!
        for _ in $(seq 60); do
            docker info >/dev/null 2>&1 && break
            kill -0 "$engine" 2>/dev/null || break
            sleep 0.5
        done
        docker info >/dev/null || { tail -n 20 "$work/dockerd.log" >&2 && return 1; }
    fi
    if ! docker compose version >/dev/null 2>&1 || ! docker buildx version >/dev/null 2>&1; then
        export DOCKER_CONFIG=$work/config
        tests/deploy/tools.sh "$DOCKER_CONFIG/cli-plugins" docker-compose docker-buildx
    fi
}

stop_engine() { # WORK
    [ -n "${engine:-}" ] || return 0
    kill "$engine" && wait "$engine" || true
    [ -n "${KEEP:-}" ] || rm -rf "$1/data" "$1/exec"
}

need() { # PACKAGE PROGRAM
    command -v "$2" >/dev/null && return 0
    [ "$(id -u)" = 0 ] || { echo "$2 is needed: install $1" >&2 && return 1; }
    apt-get update --quiet=2
    # This run level keeps the package from starting its service.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends "$1"
}
