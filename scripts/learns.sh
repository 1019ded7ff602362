#!/bin/sh
# Does the model learn what there is to learn, and nothing where there is
# nothing? Trains on the synthetic market with five seeds, in order and with the
# candles shuffled in time, and prints how much of the gap in nats per token
# between unigram and truth the model closes on test dates, which nothing has
# seen. About 7 minutes on two cores.
#
#   scripts/learns.sh [SEEDS] > results/learning.csv
set -eu
mqc=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)/mqc
seeds=${1:-5}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

"$mqc" data generate --assets 16 --candles 10000 --out ordered >&2
"$mqc" data generate --assets 16 --candles 10000 --shuffled --out shuffled >&2

echo "market,scale,seed,steps,targets,unigram,bigram,model,truth,closed_percent"
for run in "ordered global" "shuffled global" "ordered ewma"; do
	market=${run% *} scale=${run#* }
	"$mqc" tokenize --data "$market" --scale "$scale" --out "$market-$scale.safetensors" --tokens "$market-$scale.txt" >&2
	seed=1
	while [ "$seed" -le "$seeds" ]; do
		"$mqc" train --data "$market" --tokenizer "$market-$scale.safetensors" --preset spec --layers 2 --embd 64 --heads 2 --kv-heads 1 --seq-len 64 \
			--epochs 3 --lr 2e-3 --batch 16 --dropout 0.1 --seed "$seed" --out model.safetensors >&2
		"$mqc" eval --checkpoint model.safetensors --data "$market" --split test --json | awk -v head="$market,$scale,$seed" '
			/"targets":/ && !targets { gsub(/[^0-9]/, ""); targets = $0 }
			/"name":/ { gsub(/[",]/, ""); name = $2 }
			/"nats":/ { gsub(/,/, ""); nats[name] = $2 }
			/"steps":/ { gsub(/,/, ""); steps = $2 }
			END {
				u = nats["unigram"]; m = nats["model"]; t = nats["truth"]
				printf "%s,%d,%d,%.4f,%.4f,%.4f,%.4f,%.1f\n", head, steps, targets, u, nats["bigram"], m, t, 100 * (u - m) / (u - t)
			}'
		seed=$((seed + 1))
	done
done
