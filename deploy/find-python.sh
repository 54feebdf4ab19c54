#!/bin/sh
# Print the interpreter that .venv is made with: the highest version of 3.11 or newer. Of one version that of the
# distribution comes first where it can make virtual environments: it is built with profile-guided optimisation, which
# others often are not, and costs a quarter less (deploy/docs/decisions/0059).
is_new="sys.exit(sys.version_info < (3, 11))"
for name in python3.14 python3.13 python3.12 python3.11 python3; do
    if "/usr/bin/$name" -c "import sys, ensurepip; $is_new" 2>/dev/null; then
        echo "/usr/bin/$name"
        exit
    fi
    if command -v "$name" >/dev/null 2>&1 && "$name" -c "import sys; $is_new" 2>/dev/null; then
        echo "$name"
        exit
    fi
done
