#!/bin/sh
# Makes one heartbeat for an agent: DEFIB_URL=… DEFIB_TOKEN=… heartbeat.sh builder
# Prints the answer; ends with 1 when the service refuses, or a critical step of the pass failed.
set -eu
agent=$1

answer=$(curl --silent --show-error --fail-with-body --max-time 60 \
  --retry 3 --retry-connrefused \
  --request POST "$DEFIB_URL/api/agents/$agent/heartbeat" \
  --header "Authorization: Bearer $DEFIB_TOKEN") || {
  echo "$answer" >&2
  exit 1
}
echo "$answer"
case $answer in *'"status":"error"'*) exit 1 ;; esac
