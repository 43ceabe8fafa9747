#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The command line tools of rabbitmq-c.
set -euo pipefail
command -v amqp-publish >/dev/null || { echo "SKIPPED: amqp-publish is not installed; scripts/dependencies test installs it"; exit 77; }
url=$AMQP_URL
queue=q-$$-$RANDOM

expect() {
    [ "$1" = "$2" ] || { echo "expected '$2', got '$1'" >&2; exit 1; }
    echo "ok: $3"
}

amqp-declare-queue --url="$url" -q "$queue" >/dev/null
trap 'amqp-delete-queue --url="$url" -q "$queue" >/dev/null 2>&1 || true' EXIT
amqp-publish --url="$url" -r "$queue" -p -C text/plain -b 'first'
amqp-publish --url="$url" -r "$queue" -b 'second'
expect "$(amqp-get --url="$url" -q "$queue")" first 'a message is fetched'
expect "$(amqp-consume --url="$url" -q "$queue" -c 1 -p 1 cat)" second 'a message is consumed'
if amqp-get --url="$url" -q "$queue"; then echo 'an empty queue gave a message' >&2; exit 1; fi
echo 'ok: an empty queue gives nothing'
expect "$(amqp-delete-queue --url="$url" -q "$queue")" 0 'the queue was empty'
wrong=${url/guest:guest/guest:wrong}
said=$(amqp-publish --url="$wrong" -r x -b x 2>&1) && { echo 'a wrong password was accepted' >&2; exit 1; }
case $said in *ACCESS_REFUSED*|*403*) echo 'ok: a wrong password is refused' ;; *) echo "said: $said" >&2; exit 1 ;; esac
