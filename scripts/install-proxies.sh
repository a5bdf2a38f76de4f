#!/bin/sh
# Install the Debian packages of the proxies that the tests run, of a name server, of what keeps rules around sidecars, of what looks at pictures, and of who watches.
# Envoy is no package: its binary is in the development environment. `--list` prints the packages.
set -eu
cd "$(dirname "$0")/.."
. scripts/root.sh

packages="haproxy lua-luaossl nginx libnginx-mod-stream libnginx-mod-http-lua libnginx-mod-stream-js dnsmasq-base nftables iproute2 systemd prometheus chromium-headless-shell graphviz"

if [ "${1:-}" = --list ]; then
    echo "$packages"
    exit 0
fi

missing=
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    if [ "$state" != installed ]; then missing="$missing $package"; fi
done
if [ -z "$missing" ]; then exit 0; fi

# The packages start a service each, on ports that the tests or the user may want. Debian asks
# policy-rc.d first; 101 means "do not start". Whatever stood there is put back.
policy=/usr/sbin/policy-rc.d
kept=
deny_services() {
    if [ -e $policy ]; then
        kept=$policy.before-meshctl
        as_root mv $policy $kept
    fi
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
}
restore_services() {
    as_root rm -f $policy
    if [ -n "$kept" ]; then as_root mv "$kept" $policy; fi
}

if as_root true && [ -d /usr/sbin ]; then
    trap restore_services EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    deny_services
fi
# shellcheck disable=SC2086  # a list of words on purpose
apt_install $missing
