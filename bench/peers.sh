#!/bin/sh
# Measures mqc beside PyTorch and oneDNN on this machine, in turn, and writes
# the medians and the ratios to results/bench.csv. About an hour with all of it.
#
#   apt-get install python3-torch libopenblas0-openmp libdnnl-dev g++     # Debian 12
#   bench/peers.sh                   # everything
#   bench/peers.sh train gemm        # some of: train installed eval decode gemm
#
#   ROUNDS=5                  how often each pair is measured
#   WORKERS=2                 cores for each; all by default
#   OUT=results/bench.csv     what is written; it holds only what was run
#   QUIET=600                 seconds to wait for others on the machine to finish;
#                             0 does not wait, and takes what comes
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
[ $# -gt 0 ] || set -- train installed eval decode gemm

need=
for work; do
	case $work in
	train | installed | eval | decode) need="$need python3-torch libopenblas0-openmp" ;;
	gemm) need="$need libdnnl-dev g++" ;;
	*)
		echo "peers.sh: $work: want some of train, installed, eval, decode, gemm" >&2
		exit 2
		;;
	esac
done
if ! command -v dpkg-query >/dev/null; then
	echo "peers.sh: this is not Debian: the peers are its packages$need" >&2
	exit 1
fi
missing=
for package in $(printf '%s\n' $need | sort -u); do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
	echo "peers.sh: missing packages; install them with: apt-get install$missing" >&2
	exit 1
fi
if ! command -v go >/dev/null; then
	echo "peers.sh: Go is not installed: https://go.dev/dl/" >&2
	exit 1
fi

mkdir -p bin/bench
CGO_ENABLED=0 go build -trimpath -o bin/bench/mqc ./cmd/mqc
case " $* " in
*" gemm "*) g++ -O2 -std=c++17 -fopenmp bench/peers/onednn_gemm.cpp -ldnnl -o bin/bench/onednn_gemm ;;
esac
exec /usr/bin/python3 bench/peers.py "$@"
