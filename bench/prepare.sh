# Sourced by bench/run, bench/session and bench/rows: tools, builds, the Python environment, and nginx on its own core.
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
    say "building the clients of our session"
    cargo build --release --manifest-path "$bench/Cargo.toml" --target-dir "$bench/target" \
        --features gannet --bin gannet_session --bin gannet_download || die "our session does not build; leave it out with --only"
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

# A certificate for 127.0.0.1 from an authority of its own; ECDSA P-256, as most servers have now.
make_certificate() {
    [ ! -e "$work/server.pem" ] || return 0
    local new=(req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
    {
        openssl "${new[@]}" -x509 -keyout "$work/ca.key" -out "$work/ca.pem" -days 3650 -subj /CN=bench-ca &&
            openssl "${new[@]}" -keyout "$work/server.key" -out "$work/server.csr" -subj /CN=127.0.0.1 &&
            openssl x509 -req -in "$work/server.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial \
                -days 3650 -extfile <(echo subjectAltName=IP:127.0.0.1) -out "$work/server.part"
    } 2>"$work/openssl.log" || die "openssl made no certificate; see $work/openssl.log"
    mv "$work/server.part" "$work/server.pem"
}

# 100 MB that no coding makes smaller.
make_blob() {
    mkdir -p "$work/files"
    [ "$(stat -c %s "$work/files/blob" 2>/dev/null)" = 100000000 ] || head -c 100000000 /dev/urandom >"$work/files/blob"
}

# A 210-byte JSON body from memory, no logs, and connections that are never closed by count:
# the server's part is as small and as even as it can be. The ports, from BENCH_PORT on: HTTP/1.1, HTTP/2 without TLS,
# HTTP/1.1 and HTTP/2 over TLS, then two that close after each response, for handshakes: without and with tickets.
write_nginx_config() {
    local text='{"id":1,"name":"gannet","kind":"seabird","text":"'
    local tail='"}'
    local fill=$((210 - ${#text} - ${#tail}))
    text+="$(printf 'x%.0s' $(seq "$fill"))$tail"
    [ "${#text}" -eq 210 ] || die "the body would have ${#text} bytes, not 210"
    : >"$work/handshakes.log"
    cat >"$work/places.conf" <<CONF
location = /item { return 200 '$text'; }
location /items/ { return 200 '$text'; }
location = /blob { root $work/files; }
CONF
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
    log_format handshake '\$ssl_session_reused \$ssl_protocol \$ssl_cipher';
    default_type application/json;
    sendfile on;
    open_file_cache max=10;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    http2_max_concurrent_streams 128;
    ssl_certificate $work/server.pem;
    ssl_certificate_key $work/server.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    client_body_temp_path $work/nginx-tmp;
    proxy_temp_path $work/nginx-tmp;
    fastcgi_temp_path $work/nginx-tmp;
    uwsgi_temp_path $work/nginx-tmp;
    scgi_temp_path $work/nginx-tmp;
    server {
        listen 127.0.0.1:$BENCH_PORT backlog=16384;
        include $work/places.conf;
        location = /status { stub_status; }
    }
    server {
        listen 127.0.0.1:$((BENCH_PORT + 1)) http2;
        include $work/places.conf;
    }
    server {
        listen 127.0.0.1:$((BENCH_PORT + 2)) ssl backlog=16384;
        include $work/places.conf;
    }
    server {
        listen 127.0.0.1:$((BENCH_PORT + 3)) ssl http2;
        include $work/places.conf;
    }
    server {
        listen 127.0.0.1:$((BENCH_PORT + 4)) ssl;
        keepalive_timeout 0;
        ssl_session_tickets off;
        ssl_session_cache off;
        access_log $work/handshakes.log handshake;
        include $work/places.conf;
    }
    server {
        listen 127.0.0.1:$((BENCH_PORT + 5)) ssl;
        keepalive_timeout 0;
        ssl_session_tickets on;
        access_log $work/handshakes.log handshake;
        include $work/places.conf;
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
    make_certificate
    make_blob
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

# Builds what a harness says it needs, then runs it; what is asked for is read by Python, before all else is installed.
run_comparison() {
    command -v python3 >/dev/null 2>&1 || "$root/scripts/install-bench-deps"
    local needs need
    needs="$(python3 "$1" --needs "${@:2}")" || exit $?
    case "$needs" in usage:*) echo "$needs"; exit 0 ;; esac
    prepare_machine
    build_peers
    for need in $needs; do
        case "$need" in
            session) build_session ;;
            command) build_command ;;
            venv) make_venv ;;
        esac
    done
    start_nginx
    run_harness "$@"
}
