#!/usr/bin/env bash
# Sends a file as if it were live: samples/push-file.sh FILE STREAM [matroska|mp4]
#
# Nothing is encoded anew. KINORA_SERVER and KINORA_TOKEN as in demo-camera.sh.
set -euo pipefail

file=${1:?usage: push-file.sh FILE STREAM [matroska|mp4]}
stream=${2:?usage: push-file.sh FILE STREAM [matroska|mp4]}
format=${3:-matroska}

options=()
[[ $format != mp4 ]] || options+=(-movflags frag_keyframe+empty_moov+default_base_moof)
[[ -z ${KINORA_TOKEN:-} ]] || options+=(-headers "Authorization: Bearer $KINORA_TOKEN"$'\r\n')

exec ffmpeg -hide_banner -nostdin -loglevel warning -re -i "$file" -c copy \
    -f "$format" "${options[@]}" -method POST "${KINORA_SERVER:-http://127.0.0.1:8080}/v1/streams/$stream/media"
