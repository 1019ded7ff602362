#!/bin/sh
# How often does eval find skill where there is none? Trains and scores a small
# model on markets of geometric Brownian motion; the first line of the result
# names the command.
#
#   scripts/falsepositives.sh [MARKETS] > results/falsepositives.csv
set -eu
mqc=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)/mqc
markets=${1:-200}

echo "# mqc selftest --markets $markets --assets 10 --candles 1500 --scale global --seed 1 --csv"
"$mqc" selftest --markets "$markets" --assets 10 --candles 1500 --scale global --seed 1 --csv
