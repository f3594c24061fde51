# Sourced by bench/run and bench/rows: tools, builds, the Python environment, and nginx on its own core.
# The environment may change where things run: BENCH_SERVER_CPU (0), BENCH_CLIENT_CPU (1), BENCH_PORT (18180).

bench="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(dirname "$bench")"
work="$bench/.work"
export BENCH_SERVER_CPU="${BENCH_SERVER_CPU:-0}" BENCH_CLIENT_CPU="${BENCH_CLIENT_CPU:-1}" BENCH_PORT="${BENCH_PORT:-18180}"
# Debian keeps nginx in /usr/sbin, which is not in an ordinary user's PATH.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export PYTHONDONTWRITEBYTECODE=1
nginx_pid=
harness_pid=

say() { echo "bench: $*" >&2; }

die() {
    say "$*"
    exit 1
}

prepare_machine() {
    "$root/scripts/install-bench-deps"
    mkdir -p "$work"
    # A client at 5,000 connections and nginx each need that many files.
    local hard
    hard="$(ulimit -Hn)"
    if [ "$hard" = unlimited ] || [ "$hard" -gt 65536 ]; then hard=65536; fi
    ulimit -n "$hard"
    local cpu
    for cpu in "$BENCH_SERVER_CPU" "$BENCH_CLIENT_CPU"; do
        taskset -c "$cpu" true || die "processor $cpu cannot be used; set BENCH_SERVER_CPU and BENCH_CLIENT_CPU"
    done
    [ "$BENCH_SERVER_CPU" != "$BENCH_CLIENT_CPU" ] || say "warning: nginx and the clients share processor $BENCH_CLIENT_CPU"
}

build_peers() {
    say "building the measuring program and the Rust peers"
    cargo build --release --manifest-path "$bench/Cargo.toml" --target-dir "$bench/target"
}

build_session() {
    say "building the client of our session"
    cargo build --release --manifest-path "$bench/Cargo.toml" --target-dir "$bench/target" \
        --features gannet --bin gannet_session || die "our session does not build; leave it out with --only"
}

build_command() {
    say "building the gannet command"
    cargo build --release --manifest-path "$root/Cargo.toml" --target-dir "$root/target" -p gannet-cli ||
        die "the gannet command does not build; leave it out with --only"
}

make_venv() {
    if ! "$bench/.venv/bin/python" -c 'import aiohttp, uvloop' 2>/dev/null; then
        say "making a Python environment with aiohttp and uvloop in bench/.venv"
        python3 -m venv --clear "$bench/.venv"
        "$bench/.venv/bin/pip" install --quiet aiohttp uvloop
    fi
}

# A 210-byte JSON body from memory, no logs, and connections that are never closed by count:
# the server's part is as small and as even as it can be.
write_nginx_config() {
    local text='{"id":1,"name":"gannet","kind":"seabird","text":"'
    local tail='"}'
    local fill=$((210 - ${#text} - ${#tail}))
    text+="$(printf 'x%.0s' $(seq "$fill"))$tail"
    [ "${#text}" -eq 210 ] || die "the body would have ${#text} bytes, not 210"
    cat >"$work/nginx.conf" <<CONF
daemon off;
worker_processes 1;
pid $work/nginx.pid;
error_log $work/nginx-error.log warn;
events {
    worker_connections 20000;
    multi_accept on;
}
http {
    access_log off;
    default_type application/json;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_body_temp_path $work/nginx-tmp;
    proxy_temp_path $work/nginx-tmp;
    fastcgi_temp_path $work/nginx-tmp;
    uwsgi_temp_path $work/nginx-tmp;
    scgi_temp_path $work/nginx-tmp;
    server {
        listen 127.0.0.1:$BENCH_PORT backlog=16384;
        location = /item { return 200 '$text'; }
        location /items/ { return 200 '$text'; }
        location = /status { stub_status; }
    }
}
CONF
}

# Ends what this script started, by its ids: the harness first, which ends the client under way.
stop_all() {
    local pid
    for pid in $harness_pid $nginx_pid; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}

# Stopped again when the script ends, however it ends.
start_nginx() {
    write_nginx_config
    trap stop_all EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    taskset -c "$BENCH_SERVER_CPU" nginx -p "$work" -c "$work/nginx.conf" -e "$work/nginx-error.log" &
    nginx_pid=$!
    local try
    for try in $(seq 50); do
        kill -0 "$nginx_pid" 2>/dev/null || break
        if curl --silent --fail --noproxy '*' --output /dev/null "http://127.0.0.1:$BENCH_PORT/item"; then
            return 0
        fi
        sleep 0.1
    done
    tail -n 5 "$work/nginx-error.log" >&2 || true
    die "nginx did not answer on port $BENCH_PORT within 5 seconds; is the port taken? (BENCH_PORT)"
}

# Runs a harness on the server's core: it sleeps while a client runs, and must never take the client's time.
# In the background, since bash acts on a signal at once only while it waits.
run_harness() {
    taskset -c "$BENCH_SERVER_CPU" python3 "$@" &
    harness_pid=$!
    local code=0
    wait "$harness_pid" || code=$?
    harness_pid=
    return "$code"
}
