# Sourced, not run: collects what is missing and installs it with apt in one go.
# `need TEST PACKAGE...` notes packages whose test fails; `install_missing` installs them. Quick when nothing is missing.

# Debian keeps nginx in /usr/sbin, which is not in an ordinary user's PATH.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
missing=()

has() { command -v "$1" >/dev/null 2>&1; }

has_certs() { [ -s /etc/ssl/certs/ca-certificates.crt ] || [ -s /etc/pki/tls/certs/ca-bundle.crt ] || [ -s /etc/ssl/cert.pem ]; }

has_venv() { has python3 && python3 -c 'import venv, ensurepip' >/dev/null 2>&1; }

# need 'has nginx' nginx
need() {
    local test="$1"
    shift
    if ! $test; then missing+=("$@"); fi
}

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# Runs as root. A policy-rc.d that forbids starting services stands in while packages are set up,
# unless the machine has its own: only the nginx program is wanted, not a server on port 80.
install_as_root='
set -eu
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap "rm -f $policy" EXIT
    trap "exit 1" INT TERM
    printf "#!/bin/sh\nexit 101\n" >"$policy"
    chmod 755 "$policy"
fi
apt-get update -q
apt-get install -y -q --no-install-recommends "$@"
for package in "$@"; do
    if [ "$package" = nginx ] && command -v systemctl >/dev/null; then
        systemctl disable nginx >/dev/null 2>&1 || true
    fi
done
'

install_missing() {
    if [ "${#missing[@]}" -eq 0 ]; then return 0; fi
    local by_hand="apt-get install ${missing[*]}"
    has apt-get || fail "missing: ${missing[*]}; there is no apt-get here, install them by hand (Debian's package names)"
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        has sudo || fail "missing: ${missing[*]}; neither root nor sudo here, have an administrator run: $by_hand"
        root=(sudo)
    fi
    echo "$(basename "$0"): installing ${missing[*]}" >&2
    "${root[@]}" sh -c "$install_as_root" install "${missing[@]}" </dev/null >&2 ||
        fail "apt could not install: ${missing[*]}; the reason is above, by hand: $by_hand"
}

# Asks again after installing, so that a wrong package is told here and not in a test.
check_present() {
    local command
    for command in "$@"; do
        has "$command" || fail "$command is still not found after installing; PATH is $PATH"
    done
}
