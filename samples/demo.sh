#!/usr/bin/env bash
# A server and a camera, until Ctrl-C: what `make demo` runs once everything is built.
#
#   samples/demo.sh [BINARY]               default: target/release/kinora
#
# PORT      where to listen, on loopback   default: 8080
# DATA_DIR  where fragments are kept       default: target/demo-data
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${1:-target/release/kinora}
port=${PORT:-8080}
data=${DATA_DIR:-target/demo-data}
url=http://127.0.0.1:$port
server='' camera=''

stop() {
    # Pressing Ctrl-C again must not leave them behind.
    trap - EXIT
    trap '' HUP INT TERM
    # The camera first, so that its last fragment is complete when the server drains.
    for pid in "$camera" "$server"; do
        [[ -n $pid ]] || continue
        kill -TERM "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    # Below what the terminal shows of Ctrl-C.
    printf '\n%s\n' "stopped; what was recorded is in $data"
}

fail() {
    echo "demo: $*" >&2
    exit 1
}

# Whether there is something to see: from the first complete fragment on, and not only of the last demo.
playable() {
    curl --silent "$url/v1/streams/demo" | grep -q '"state":"live"' &&
        curl --silent --fail --output /dev/null "$url/v1/streams/demo/hls/index.m3u8"
}

if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    fail "port $port is taken: end what listens there, or choose another: make demo PORT=8090"
fi

mkdir -p "$data"
trap stop EXIT
trap 'exit 0' HUP INT TERM

# In groups of their own, so that Ctrl-C reaches only this script and the order of ending is ours.
set -m
"$binary" serve --listen "127.0.0.1:$port" --data-dir "$data" >"$data.log" 2>&1 &
server=$!
for _ in $(seq 300); do
    kill -0 "$server" 2>/dev/null || fail "the server ended: $(tail -n 5 "$data.log")"
    curl --silent --fail --output /dev/null "$url/readyz" && break
    sleep 0.1
done
curl --silent --fail --output /dev/null "$url/readyz" || fail "the server is not ready after 30 s, see $data.log"

KINORA_SERVER=$url samples/demo-camera.sh demo >"$data.camera.log" 2>&1 &
camera=$!
set +m
for _ in $(seq 300); do
    kill -0 "$camera" 2>/dev/null || fail "the camera ended: $(tail -n 5 "$data.camera.log")"
    playable && break
    sleep 0.1
done
playable ||
    fail "no media after 30 s, see $data.log and $data.camera.log"

cat <<MESSAGE

  Kinora is at   $url/
  live stream    $url/v1/streams/demo/hls/index.m3u8
  fragments      $url/v1/streams/demo/fragments?order=desc&limit=3
  logs           $data.log, $data.camera.log

  Ctrl-C stops both.

MESSAGE
# Whichever ends first ends the demo. Looking now and then cannot miss an end, as `wait -n` misses
# one that came just before it.
while kill -0 "$server" 2>/dev/null && kill -0 "$camera" 2>/dev/null; do
    sleep 0.5 &
    wait $!
done
if kill -0 "$server" 2>/dev/null; then
    fail "the camera ended: $(tail -n 5 "$data.camera.log")"
fi
fail "the server ended: $(tail -n 5 "$data.log")"
