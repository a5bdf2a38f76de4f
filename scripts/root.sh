# Sourced by the other scripts: run one command as root, or say that it cannot be done.

# as_root COMMAND...: returns 126 when this user may not become root without a password.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        return 126
    fi
}

# apt_install PACKAGE...: exits 2 with the command to run when this script may not or cannot.
apt_install() {
    wanted="apt-get update && apt-get install -y --no-install-recommends $*"
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "This machine has no apt-get. Install what these Debian packages hold: $*" >&2
        exit 2
    fi
    if ! as_root true; then
        echo "Root is needed to install packages. Run this, then try again:" >&2
        echo "    sudo sh -c '$wanted'" >&2
        exit 2
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q >&2 || exit 2
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "$@" >&2 || exit 2
}
