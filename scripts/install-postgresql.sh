#!/bin/sh
# Makes sure that PostgreSQL's server programs are there, by Debian's packages where they are missing.
set -eu
if command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null
else
    echo "The integration tests need PostgreSQL's server programs: install the package 'postgresql'." >&2
    exit 1
fi
