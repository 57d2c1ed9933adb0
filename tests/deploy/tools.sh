#!/usr/bin/env bash
# Puts programs from Debian's packages into a folder, without installing them: tools.sh FOLDER PROGRAM...
# Packages come from the machine's own mirror. promtool is taken from Debian 12, the others from 13, which has them.
set -euo pipefail
folder=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# shellcheck disable=SC2016 # apt fills this in
site=$(apt-get indextargets --format '$(SITE)' | grep -m1 '/debian/\?$')
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

prepare() { # RELEASE
    local at=$work/$1
    [ ! -e "$at" ] || return 0
    mkdir -p "$at/lists/partial" "$at/cache/archives/partial"
    echo "deb [signed-by=$keyring] $site $1 main" >"$at/sources.list"
    cat >"$at/apt.conf" <<CONF
Dir::Etc::SourceList "$at/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "$at/lists";
Dir::Cache "$at/cache";
APT::Sandbox::User "root";
CONF
    APT_CONFIG=$at/apt.conf apt-get update --quiet=2
}

unpack() { # RELEASE PACKAGE
    prepare "$1"
    (cd "$work" && APT_CONFIG=$work/$1/apt.conf apt-get download --quiet=2 "$2")
    dpkg --extract "$work/$2"_*.deb "$work/root"
}

mkdir -p "$folder"
for program in "$@"; do
    case $program in
    promtool | prometheus) unpack bookworm prometheus && from=usr/bin ;;
    kustomize) unpack trixie kustomize && from=usr/bin ;;
    docker-compose | docker-buildx) unpack trixie "$program" && from=usr/libexec/docker/cli-plugins ;;
    *) echo "$program: no package known" >&2 && exit 2 ;;
    esac
    install -t "$folder" "$work/root/$from/$program"
done
