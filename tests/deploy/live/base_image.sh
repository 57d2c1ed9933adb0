# shellcheck shell=bash
# Sourced by run.sh: the image that the Dockerfile begins with, pulled or made.

# Sets python to the version there is. Where no registry can be reached, the machine's own Debian release becomes an image
# with that release's Python, under the name that the Dockerfile asks for.
base_image() { # WORK
    local work=$1 root=$1/root site release
    python=3.12
    if docker image inspect "python:$python-slim" >/dev/null 2>&1 || docker pull --quiet "python:$python-slim"; then
        return 0
    fi
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    if [ ! -e "$root/usr/local/bin/python" ]; then
        need debootstrap debootstrap
        # shellcheck disable=SC2016 # apt fills this in
        site=$(apt-get indextargets --format '$(SITE)' | grep -m1 '/debian/\?$')
        rm -rf "$root"
        debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv,tzdata \
            "$release" "$root" "$site" >"$work/debootstrap.log"
        rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
        ln -s /usr/bin/python3 "$root/usr/local/bin/python"
    fi
    python=$(chroot "$root" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    tar --create --directory "$root" . | docker import --change \
        'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' - "python:$python-slim" >/dev/null
    report "base image: Debian $release with Python $python, made with debootstrap under the name python:$python-slim"
}
