#!/bin/sh
# What does stage 4 do, and what would the same cost do otherwise? From one
# stage 3 of BTC-USD: RL with each reward, more of stage 3 over as many tokens as
# RL draws, and a temperature chosen by log score on validation. Rows are start
# (stage 3 as it is) and what came of it. Columns: entropy (nats of a token), the
# coverage of the central 90% interval of drawn paths after 1 and 20 candles and
# CRPS in basis points after 1, 5 and 20, of the kept weights on validation; CRPS
# of the same on test, which nothing has seen; then what the runs themselves
# measured on validation at their last step: CRPS in units of volatility (its
# start in crps_start), entropy and coverage.
#
#   scripts/judge.sh FOLDER [SEEDS] > results/rl.csv      # some ten minutes with 3 seeds
set -eu
mqc=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)/mqc
data=$(CDPATH= cd -- "${1:?name the folder with the CSV files}" && pwd)
seeds=${2:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
btc=$(ls "$data"/BTC-USD_*_1d.csv)

steps=60 contexts=4 group=16 horizon=20 context=45 lr=1e-4
tokens=$((steps * contexts * group * horizon))

"$mqc" train --data "$data" --preset skill --out pretrain.safetensors >&2
"$mqc" stage2 --in pretrain.safetensors --csv "$btc" --epochs 20 --batch 8 --lr $lr --dropout 0.3 --out midtrain.safetensors >&2
"$mqc" stage3 --in midtrain.safetensors --csv "$btc" --epochs 4 --batch 8 --lr $lr --context-len $context --horizon $horizon --dropout 0.3 --patience 0 --out start.safetensors --json 2>/dev/null >start.json
candles=$(awk '{ gsub(/,/, "") } $1 == "\"candles\":" { print $2 }' start.json)

# scores CHECKPOINT TEMPERATURE: what eval says, as the middle columns.
scores() {
	"$mqc" eval --checkpoint "$1" --temperature "$2" --data "$btc" --split val --json | awk '
		{ gsub(/[",]/, "") } /entropy:/ { entropy = $2 } END { printf "%.4f", entropy }'
	for part in val test; do
		# The model is the last row.
		"$mqc" eval --checkpoint "$1" --temperature "$2" --data "$btc" --level path --baselines "random walk" --split $part --json | awk -v part=$part '
			{ gsub(/[",]/, "") }
			$1 == "horizon:" { h = $2 }
			$1 == "crps:" { crps[h] = 1e4 * $2 }
			$1 == "level:" { level = $2 }
			$1 == "share:" && level == 0.9 { coverage[h] = $2 }
			END {
				if (part == "val") printf ",%.4f,%.4f", coverage[1], coverage[20]
				printf ",%.2f,%.2f,%.2f", crps[1], crps[5], crps[20]
			}'
	done
}

# row ARM SEED: the line of a run that wrote arm.safetensors and arm.json.
row() {
	best=$(awk '{ gsub(/,/, "") } $1 == "\"best_step\":" { print $2 }' arm.json)
	first=$(awk '{ gsub(/,/, "") } $1 == "\"before\":" { print $2 }' arm.json)
	last=$(grep '"kind":"eval"' arm.safetensors.log.jsonl | tail -n 1 | awk -v first="$first" '
		function value(name) { match($0, "\"" name "\":[^,}]*"); s = substr($0, RSTART, RLENGTH); sub(/.*:/, "", s); return s }
		{ printf "%.4f,%.4f,%.4f,%.4f,%.4f", first, value("crps"), value("entropy"), value("coverage_1"), value("coverage_h") }')
	echo "$1,$2,$tokens,1,$best,$(scores arm.safetensors 1),$last"
}

echo "# $(date +%F), commit $(git -C "$(dirname "$mqc")" rev-parse --short HEAD), scripts/judge.sh FOLDER $seeds"
echo "arm,seed,tokens,temperature,best_step,entropy,coverage_1,coverage_20,crps_1,crps_5,crps_20,test_crps_1,test_crps_5,test_crps_20,crps_start,crps_last,entropy_last,coverage_1_last,coverage_20_last"
echo "start,,,1,,$(scores start.safetensors 1),,,,,"

temperature=$(for t in 0.6 0.7 0.8 0.85 0.9 0.95 1 1.05 1.1 1.15 1.2 1.3 1.4; do
	"$mqc" eval --checkpoint start.safetensors --temperature $t --data "$btc" --level density --baselines "random walk" --split val --json | awk -v t=$t '
		{ gsub(/[",]/, "") } $1 == "log_score:" { score = $2 } END { print score, t }'
done | sort -g | awk 'END { print $2 }')
echo "temperature,,,$temperature,,$(scores start.safetensors "$temperature"),,,,,"

for seed in $(seq "$seeds"); do
	for reward in token_acc return_mse crps sharpe; do
		"$mqc" stage4 --in start.safetensors --csv "$btc" --steps $steps --batch-episodes $contexts --group $group --context-len $context --horizon $horizon \
			--lr $lr --reward $reward --patience 0 --seed "$seed" --out arm.safetensors --json 2>/dev/null >arm.json
		row "rl_$reward" "$seed"
	done
	"$mqc" stage3 --in start.safetensors --csv "$btc" --epochs $(((tokens + candles / 2) / candles)) --batch $((contexts * group)) --context-len $context --horizon $horizon \
		--lr $lr --dropout 0.3 --patience 0 --seed "$seed" --out arm.safetensors --json 2>/dev/null >arm.json
	row more_sft "$seed"
done
