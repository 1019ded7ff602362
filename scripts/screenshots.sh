#!/bin/sh
# The pictures of docs/img, from a page that mqc serve serves:
#
#	mqc quickstart && mqc serve --runs quickstart --data quickstart/data &
#	scripts/screenshots.sh -as-of 2019-06-03
#
# See -help for the address, the folder and the asset. It wants Chromium in PATH.
cd "$(dirname -- "$0")/.." && exec go run ./scripts/screenshots "$@"
