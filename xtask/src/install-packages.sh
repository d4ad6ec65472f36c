# Installs the Debian packages that are its arguments, and starts none of their services.
# Run as root: sh -c "$(cat install-packages.sh)" install-packages PACKAGE...
set -eu
policy=/usr/sbin/policy-rc.d

# Package scripts ask this program before they start a service; 101 means: do not.
if [ -e "$policy" ] || [ -L "$policy" ]; then
    refused=0
    "$policy" postgresql start >/dev/null 2>&1 || refused=$?
    if [ "$refused" != 101 ]; then
        echo "$policy is there and lets services start: install these yourself: $*" >&2
        exit 1
    fi
else
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM HUP
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
apt() {
    apt-get -o DPkg::Lock::Timeout=300 "$@"
}

known=yes
for package in "$@"; do
    apt-cache show "$package" >/dev/null 2>&1 || known=no
done
[ "$known" = yes ] || apt update
apt install -y --no-install-recommends "$@" || {
    # The lists may name versions that the archive no longer has.
    apt update
    apt install -y --no-install-recommends "$@"
}
