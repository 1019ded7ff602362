#!/bin/sh
# The whole pipeline once: see mqc quickstart --help.
exec "$(dirname -- "$0")/mqc" quickstart "$@"
