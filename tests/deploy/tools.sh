#!/usr/bin/env bash
# Puts promtool and kustomize from Debian's packages into a folder, without installing them: tools.sh FOLDER
# Packages come from the machine's own mirror; kustomize is in Debian since 13, so that release's list is read as well.
set -euo pipefail
folder=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

site=$(apt-get indextargets --format '$(SITE)' | grep -m1 '/debian/\?$')
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
for release in bookworm trixie; do
    mkdir -p "$work/$release/lists/partial" "$work/$release/cache/archives/partial"
    echo "deb [signed-by=$keyring] $site $release main" >"$work/$release/sources.list"
    cat >"$work/$release/apt.conf" <<CONF
Dir::Etc::SourceList "$work/$release/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "$work/$release/lists";
Dir::Cache "$work/$release/cache";
APT::Sandbox::User "root";
CONF
done

unpack() { # RELEASE PACKAGE
    export APT_CONFIG=$work/$1/apt.conf
    [ -e "$work/$1/updated" ] || apt-get update --quiet=2
    touch "$work/$1/updated"
    (cd "$work" && apt-get download --quiet=2 "$2")
    dpkg --extract "$work/$2"_*.deb "$work/root"
}

mkdir -p "$folder"
unpack bookworm prometheus
unpack trixie kustomize
install -t "$folder" "$work/root/usr/bin/promtool" "$work/root/usr/bin/kustomize"
