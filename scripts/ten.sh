#!/bin/sh
# All four stages on a folder of real candles, at a size that takes a few minutes on
# two cores, and the table of next-token scores on the test dates, for all
# assets and for BTC-USD, which stages 2 to 4 go on with.
#
#   scripts/ten.sh FOLDER > results/ten.csv
set -eu
mqc=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)/mqc
data=$(CDPATH= cd -- "${1:?name the folder with the CSV files}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
btc=$(ls "$data"/BTC-USD_*_1d.csv)

"$mqc" tokenize --data "$data" >&2 --out tokenizer.safetensors --tokens tokens.txt
"$mqc" train --data "$data" --tokenizer tokenizer.safetensors --preset spec --depth 2 --seq-len 128 --epochs 10 --batch 16 --lr 1e-3 --dropout 0.2 --out pretrain.safetensors >&2
"$mqc" stage2 --in pretrain.safetensors --csv "$btc" --epochs 30 --batch 8 --lr 5e-4 --dropout 0.2 --out midtrain.safetensors >&2
"$mqc" stage3 --in midtrain.safetensors --csv "$btc" --epochs 8 --batch 8 --lr 1e-4 --context-len 96 --horizon 32 --dropout 0.2 --patience 10 --out sft.safetensors >&2
"$mqc" stage4 --in sft.safetensors --csv "$btc" --steps 30 --batch-episodes 4 --group 16 --context-len 96 --horizon 32 --lr 1e-5 --reward crps --patience 0 --out rl.safetensors >&2

echo "scored_on,targets,model,steps,nats,bits,perplexity,top1,top5"
for scored in all BTC-USD; do
	[ $scored = all ] && source=$data || source=$btc
	"$mqc" eval --checkpoint pretrain.safetensors,midtrain.safetensors,sft.safetensors,rl.safetensors --data "$source" --split test --json | awk -v scored=$scored '
		{ gsub(/[",]/, "") }
		/targets:/ && !targets { targets = $2 }
		/name:/ { sub(/^ *name: */, ""); name = $0; gsub(/ /, "_", name); steps = "" }
		/nats:/ { nats[name] = $2; order[++n] = name }
		/bits:/ { bits[name] = $2 }
		/perplexity:/ { ppl[name] = $2 }
		/top1:/ { top1[name] = $2 }
		/top5:/ { top5[name] = $2 }
		/steps:/ { st[name] = $2 }
		END { for (i = 1; i <= n; i++) { m = order[i]; printf "%s,%d,%s,%s,%.4f,%.4f,%.1f,%.4f,%.4f\n", scored, targets, m, st[m], nats[m], bits[m], ppl[m], top1[m], top5[m] } }'
done
"$mqc" forecast --checkpoint rl.safetensors --csv "$btc" --horizon 32 --samples 256 >&2
