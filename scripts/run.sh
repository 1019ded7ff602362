#!/bin/sh
# Runs the command that stands for a Python script of the specification:
#
#   scripts/run.sh src/train.py --num_epochs 20
exec "$(dirname -- "$0")/mqc" run "$@"
