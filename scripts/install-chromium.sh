#!/bin/sh
# Makes sure that Chromium is there, by Debian's package where it is missing.
set -eu
if command -v chromium >/dev/null 2>&1; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-liberation >/dev/null
else
    echo "The tests of the user interface need Chromium: install the package 'chromium'." >&2
    exit 1
fi
