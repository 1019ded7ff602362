#!/bin/sh
# Does training in bfloat16 end where training in float32 does? Stage 1 on the
# synthetic market, 4 layers × 256, at both precisions: validation nats per token
# of the start and of the kept weights, and the step of these.
#
#   scripts/precision.sh 5 > results/precision.csv      # five seeds, some minutes
set -eu
seeds=${1:-5}
mqc=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)/mqc
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

"$mqc" data generate --assets 10 --candles 3000 --out data >&2
"$mqc" tokenize --data data >&2
echo "seed,precision,nats_start,nats_kept,best_step"
for seed in $(seq "$seeds"); do
	for precision in f32 bf16; do
		"$mqc" train --data data --tokenizer models/tokenizer.safetensors --preset spec --depth 4 --seq-len 128 --epochs 4 --patience 0 \
			--seed "$seed" --precision $precision --out model.safetensors --json 2>/dev/null | awk -v head="$seed,$precision" '
			{ gsub(/[",]/, "") }
			$1 == "before:" { before = $2 } $1 == "after:" { after = $2 } $1 == "best_step:" { best = $2 }
			END { printf "%s,%.4f,%.4f,%d\n", head, before, after, best }'
	done
done
