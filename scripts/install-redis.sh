#!/bin/sh
# Makes sure that Redis's server program is there, by Debian's package where it is missing.
set -eu
if command -v redis-server >/dev/null 2>&1; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq
    # Debian's package would start a server: we start our own.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-server >/dev/null
else
    echo "make distributed needs Redis's server program: install the package 'redis-server'." >&2
    exit 1
fi
