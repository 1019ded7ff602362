#!/bin/sh
# What does it do to train on the model's own samples? Stage 3 with
# --rollout-prob 0, .25 and .5 from one pretrained model on the synthetic market,
# three seeds each: free-running validation CRPS (of the start, of the kept
# weights, and at the last step) and test nats per token of the kept weights.
#
#   scripts/rollout.sh > results/rollout.csv
set -eu
mqc=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)/mqc
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

"$mqc" data generate --assets 16 --candles 4000 --out data >&2
csv=$(ls data/SYN-01_*.csv)
"$mqc" train --data data --preset spec --layers 2 --embd 64 --heads 2 --kv-heads 1 --seq-len 64 --epochs 6 --lr 2e-3 --batch 16 --dropout 0.1 --out start.safetensors >&2

echo "rollout_prob,seed,steps,crps_start,crps_kept,crps_last,test_nats_start,test_nats"
nats() {
	"$mqc" eval --checkpoint "$1" --data "$csv" --split test --json | awk -v name="${1%.safetensors}" '
		/"name":/ { gsub(/[",]/, ""); row = $2 } /"nats":/ && row == name { gsub(/,/, ""); printf "%.4f", $2 }'
}
before=$(nats start.safetensors)
for prob in 0 0.25 0.5; do
	for seed in 1 2 3; do
		"$mqc" stage3 --in start.safetensors --csv "$csv" --epochs 8 --batch 8 --lr 2e-4 --context-len 48 --horizon 16 --patience 0 \
			--rollout-prob $prob --seed $seed --out sft.safetensors --json 2>/dev/null | awk -v head="$prob,$seed" '
			{ gsub(/[",]/, "") }
			$1 == "steps:" { steps = $2 } $1 == "before:" { before = $2 } $1 == "after:" { after = $2 } $1 == "final:" { last = $2 }
			END { printf "%s,%d,%.4f,%.4f,%.4f,", head, steps, before, after, last }'
		echo "$before,$(nats sft.safetensors)"
	done
done
