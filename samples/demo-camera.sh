#!/usr/bin/env bash
# A camera without a camera: a moving picture with the wall clock in it and a beep each second,
# sent to Kinora until you press Ctrl-C.
#
#   samples/demo-camera.sh [STREAM]        default: demo
#
# KINORA_SERVER the server                 default: http://127.0.0.1:8080
# KINORA_TOKEN  its token, if it has one
# SIZE, RATE    the picture                default: 1280x720, 30
# SECONDS_LONG  end after so many seconds  default: never
set -euo pipefail

stream=${1:-demo}
url=${KINORA_SERVER:-http://127.0.0.1:8080}
rate=${RATE:-30}
font=/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf

picture="testsrc2=size=${SIZE:-1280x720}:rate=$rate"
# Milliseconds in the picture make latency something one can see.
if [[ -e $font ]]; then
    picture+=",drawtext=fontfile=$font:fontsize=h/10:fontcolor=white:box=1:boxcolor=black@0.6:boxborderw=12"
    picture+=":x=(w-text_w)/2:y=h*0.8:text='%{localtime\\:%T.%3N}'"
else
    echo "demo-camera: no clock in the picture, $font is missing (package fonts-dejavu-core)" >&2
fi

options=()
[[ -z ${SECONDS_LONG:-} ]] || options+=(-t "$SECONDS_LONG")
[[ -z ${KINORA_TOKEN:-} ]] || options+=(-headers "Authorization: Bearer $KINORA_TOKEN"$'\r\n')

# A key frame each second makes fragments of one second. Small Clusters leave ffmpeg at once
# instead of being collected until the next key frame.
exec ffmpeg -hide_banner -nostdin -loglevel warning \
    -re -f lavfi -i "$picture" \
    -re -f lavfi -i "sine=frequency=220:beep_factor=4:sample_rate=48000" \
    -c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p \
    -b:v 2500k -maxrate 2500k -bufsize 1250k -g "$rate" -keyint_min "$rate" \
    -c:a aac -b:a 128k \
    "${options[@]}" -f matroska -live 1 -cluster_time_limit 100 -flush_packets 1 \
    -method POST "$url/v1/streams/$stream/media"
