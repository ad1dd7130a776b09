#!/usr/bin/env bash
# Sends a webcam: samples/webcam.sh [DEVICE] [STREAM]       default: /dev/video0, webcam
#
# Webcams give raw or MJPEG pictures, so they are encoded here. KINORA_SERVER and KINORA_TOKEN as in
# demo-camera.sh; FORMAT is ffmpeg's name for the kind of device, v4l2 on Linux.
set -euo pipefail

device=${1:-/dev/video0}
stream=${2:-webcam}

options=()
[[ -z ${KINORA_TOKEN:-} ]] || options+=(-headers "Authorization: Bearer $KINORA_TOKEN"$'\r\n')

exec ffmpeg -hide_banner -nostdin -loglevel warning -f "${FORMAT:-v4l2}" -i "$device" \
    -c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -force_key_frames 'expr:gte(t,n_forced)' \
    -f matroska -cluster_time_limit 100 "${options[@]}" \
    -method POST "${KINORA_SERVER:-http://127.0.0.1:8080}/v1/streams/$stream/media"
