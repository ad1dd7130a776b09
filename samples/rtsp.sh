#!/usr/bin/env bash
# Sends what an RTSP camera delivers: samples/rtsp.sh RTSP_URL STREAM
#
# Nothing is encoded anew. KINORA_SERVER and KINORA_TOKEN as in demo-camera.sh; INPUT_OPTIONS goes to
# ffmpeg in front of the camera's address.
set -euo pipefail

camera=${1:?usage: rtsp.sh RTSP_URL STREAM}
stream=${2:?usage: rtsp.sh RTSP_URL STREAM}

read -ra input <<<"${INPUT_OPTIONS:-}"
options=()
[[ -z ${KINORA_TOKEN:-} ]] || options+=(-headers "Authorization: Bearer $KINORA_TOKEN"$'\r\n')

exec ffmpeg -hide_banner -nostdin -loglevel warning -rtsp_transport tcp "${input[@]}" -i "$camera" -c copy \
    -f matroska -cluster_time_limit 100 "${options[@]}" \
    -method POST "${KINORA_SERVER:-http://127.0.0.1:8080}/v1/streams/$stream/media"
