#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs go/smoke.go with the distribution's packages: nothing is fetched.
set -euo pipefail
sources=/usr/share/gocode
command -v go >/dev/null && [ -d "$sources/src/github.com/rabbitmq/amqp091-go" ] ||
    { echo "SKIPPED: go or amqp091-go is not installed; scripts/dependencies test installs them"; exit 77; }
export GOPATH=$sources GO111MODULE=off GOFLAGS= GOCACHE=${GOCACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/go-build}
exec go run "$(dirname "$0")/go/smoke.go"
