#!/bin/sh
# Do ONNX Runtime and PyTorch compute the logits that mqc does, from what
# `mqc export` writes? For models of every shape, and for one that is trained
# here: differences of 1e-4 or more fail.
#
#   scripts/onnxcheck.sh                     # trains a small model
#   scripts/onnxcheck.sh CHECKPOINT TOKENS   # one of yours
#
# ONNX Runtime comes from npm into bin/onnxcheck (290 MB, once); PyTorch is that
# of PYTHON, /usr/bin/python3 by default (Debian: apt-get install python3-torch).
# What is not there is skipped, and said.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
checkpoint=${1:-}
tokens=${2:-"3 1 4 1 5 9 2 6 5 3"}
case $checkpoint in
"" | /*) ;;
*) checkpoint=$PWD/$checkpoint ;;
esac
cd "$root"

onnx=
folder=$root/bin/onnxcheck
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	echo "skipped: ONNX Runtime: node and npm are not installed"
elif [ -d "$folder/node_modules/onnxruntime-node" ] ||
	npm install --prefix "$folder" --ignore-scripts --no-audit --no-fund onnxruntime-node@1.30.0 >/dev/null; then
	onnx=yes
	export MQC_ONNXRUNTIME="$folder" NODE_PATH="$folder/node_modules"
else
	echo "skipped: ONNX Runtime: npm cannot install onnxruntime-node"
fi
python=${PYTHON:-/usr/bin/python3}
if "$python" -c 'import torch' 2>/dev/null; then
	export MQC_PYTHON="$python"
else
	echo "skipped: PyTorch: $python has none"
	python=
fi
[ -n "$onnx$python" ] || exit 0

go test -count=1 -run 'ONNXRuntimeAgrees|PyTorchAgrees' ./export

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
CGO_ENABLED=0 go build -o "$work/mqc" ./cmd/mqc
if [ -z "$checkpoint" ]; then
	checkpoint=$work/model.pt
	"$work/mqc" data generate --assets 3 --candles 2000 --out "$work/data" >&2
	(cd "$work" && ./mqc train --data data --layers 2 --embd 64 --heads 4 --kv-heads 2 --seq-len 64 --epochs 20 --batch 8 --lr 0.005 --out "$checkpoint" >&2)
fi
"$work/mqc" logits --checkpoint "$checkpoint" --precision f32 --tokens "$tokens" --all >"$work/logits.json"

# check NAME FORMAT PROGRAM... compares an export with the logits of mqc.
check() {
	name=$1 format=$2
	shift 2
	"$work/mqc" export --checkpoint "$checkpoint" --format "$format" --out "$work/model.$format" >/dev/null
	said=$("$@" "$work/model.$format" <"$work/logits.json")
	echo "$name, $format: $said"
	echo "$said" | awk '{ exit !($NF < 1e-4) }'
}
[ -z "$onnx" ] || check "ONNX Runtime" onnx node docs/onnx.cjs
if [ -n "$python" ]; then
	check PyTorch safetensors "$python" docs/forward.py
	check PyTorch npz "$python" docs/forward.py
fi
