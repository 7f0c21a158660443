#!/bin/sh
# Runs a command as a session: beats while it runs, and reports how it ended.
#   DEFIB_URL=… DEFIB_TOKEN=… session.sh builder "make the build pass" make test
# When this machine dies in the middle, the beats stop, and the work is resumed by whoever claims it.
set -eu
agent=$1 objective=$2
shift 2

# call <token> <path> <JSON>
call() {
  curl --silent --show-error --fail-with-body --max-time 60 --request POST "$DEFIB_URL/api/$2" \
    --header "Authorization: Bearer $1" --header 'Content-Type: application/json' --data "$3"
}
# field <name>: the first field of this name in the JSON on stdin
field() {
  sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" | head -n 1
}

quoted=$(printf %s "$objective" | sed 's/[\\"]/\\&/g')
started=$(call "$DEFIB_TOKEN" "agents/$agent/sessions" "{\"objective\":\"$quoted\"}")
token=$(echo "$started" | field token)
session=$(echo "$started" | sed 's/,.*//' | field id)

beat() {
  # A beat under way is finished first; the pause is not.
  trap exit TERM
  # $$ is this script itself: when it was killed, nobody works on the session any more.
  while kill -0 $$ 2>/dev/null && call "$token" "sessions/$session/heartbeat" '{}' >/dev/null; do
    # Without our output: who waits for the end of it must not wait for this sleep.
    sleep "${BEAT_SECONDS:-20}" >/dev/null 2>&1 &
    wait $!
  done
}
beat &
beats=$!

outcome=completed code=0
"$@" || { code=$? outcome=failed; }
kill "$beats" 2>/dev/null || true
wait "$beats" || true
call "$token" "sessions/$session/finish" "{\"outcome\":\"$outcome\"}" >/dev/null
exit "$code"
