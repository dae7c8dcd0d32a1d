#!/bin/sh
# Installs the servers, and the browser, that the tests start, from Debian's own packages. Needs root.
set -eu
packages=""
for pair in chromium:chromium prometheus:prometheus mariadbd:mariadb-server redis-server:redis-server \
  rabbitmq-server:rabbitmq-server nats-server:nats-server; do
  command -v "${pair%%:*}" >/dev/null || packages="$packages ${pair#*:}"
done
[ -n "$packages" ] || exit 0
echo "installing$packages"
apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
