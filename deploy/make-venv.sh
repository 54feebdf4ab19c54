#!/bin/sh
# Make .venv with pip in it. A bare Debian or Ubuntu has python3 without the venv module's ensurepip:
# as root we install the package that has it; otherwise we say which one it is.
set -eu
python="${1:-}"
if [ -z "$python" ]; then
    echo "caudal needs Python 3.11 or newer, and none was found on the PATH." >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing python$version-venv"
        apt-get update -qq && apt-get install -y -qq "python$version-venv" >/dev/null
    else
        echo "this Python cannot make virtual environments: run 'sudo apt-get install python$version-venv' and try again." >&2
        exit 1
    fi
fi
"$python" -m venv .venv
