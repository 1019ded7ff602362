#!/bin/sh
# Is there skill over the baselines of volatility? Trains the recipe of
# --preset skill and its ablations on a folder of daily candles, several seeds
# each, and scores every level on the test dates 2022 to 2024, beside all
# baselines. calibrated is skill after mqc calibrate; midtrain, sft and rl go on
# from skill with BTC-USD and are scored there. Of the rows "NAME, mean of N seeds"
# the last column is the standard deviation over seeds; of all others it is the p
# of a test.
#
#   scripts/skill.sh FOLDER > results/skill.csv       # about an hour on two cores
#
#   SEEDS="1 2 3 4 5"     training seeds
#   SPLIT=val             the part that is scored: choose with val, read test once
#   WHAT="skill vqvae"    only these
set -eu
mqc=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)/mqc
data=$(CDPATH= cd -- "${1:?name the folder with the CSV files}" && pwd)
seeds=${SEEDS:-1 2 3 4 5}
part=${SPLIT:-test}
what=${WHAT:-skill calibrated no-attention mixture vqvae midtrain sft rl fsq bsq quantile ewma}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
btc=$(ls "$data"/BTC-USD_*_1d.csv)

# train NAME FLAGS... trains NAME-SEED.pt for every seed.
train() {
	name=$1
	shift
	for seed in $seeds; do
		"$mqc" train --preset skill --data "$data" --val-from 2020-01-01 --test-from 2022-01-01 --seed "$seed" --out "$name-$seed.pt" "$@" >&2
	done
}

# stage NAME FROM COMMAND... trains NAME-SEED.pt on from FROM-SEED.pt, on BTC-USD.
stage() {
	name=$1 from=$2
	shift 2
	for seed in $seeds; do
		"$mqc" "$@" --in "$from-$seed.pt" --csv "$btc" --seed "$seed" --out "$name-$seed.pt" >&2
	done
}

# score NAME DATA FLAGS... prints all levels, and means over seeds.
score() {
	name=$1 on=$2
	shift 2
	files=
	for seed in $seeds; do files="$files,$name-$seed.pt"; done
	"$mqc" eval --level all --checkpoint "${files#,}" --data "$on" --split "$part" --csv "$@" | awk -v name="$name" -v on="$(basename "$on" .csv)" '
		NR == 1 { next }
		{
			sub(/,ensemble of /, "," name " ensemble of ")
			n = split($0, f, ","); value = f[n-1]
			print (on ~ /^BTC/ ? "BTC-USD" : "all") "," $0
			if (f[3] ~ "^" name "-[0-9]+$") {
				key = f[1] "," f[2] ","; measure = f[4]
				for (i = 5; i < n-1; i++) measure = measure "," f[i]
				if (!((key, measure) in count)) order[++rows] = key SUBSEP measure
				count[key, measure]++; sum[key, measure] += value; square[key, measure] += value * value
			}
		}
		END {
			for (i = 1; i <= rows; i++) {
				split(order[i], k, SUBSEP); c = count[k[1], k[2]]; m = sum[k[1], k[2]] / c
				v = c > 1 ? (square[k[1], k[2]] - c * m * m) / (c - 1) : 0
				printf "%s,%s\"%s, mean of %d seeds\",%s,%.6g,%.3g\n", (on ~ /^BTC/ ? "BTC-USD" : "all"), k[1], name, c, k[2], m, sqrt(v > 0 ? v : 0)
			}
		}'
}

echo "# $(date +%F), commit $(git -C "$(dirname "$mqc")" rev-parse --short HEAD), SEEDS=\"$seeds\" scripts/skill.sh FOLDER"
echo "scored_on,level,part,model,measure,value,p"
for name in $what; do
	case $name in
	skill) train $name ;;
	calibrated) for seed in $seeds; do "$mqc" calibrate --checkpoint "skill-$seed.pt" --data "$data" --out "$name-$seed.pt" >&2; done ;;
	no-attention) train $name --layers 0 ;;
	mixture) train $name --head mixture ;;
	vqvae | fsq | bsq | quantile) train $name --kind $name ;;
	ewma) train $name --scale ewma ;;
	midtrain) stage $name skill stage2 --epochs 10 --lr 2e-4 --seq-len 64 ;;
	sft) stage $name midtrain stage3 --epochs 4 --lr 5e-5 --context-len 33 --horizon 32 ;;
	rl) stage $name sft stage4 --steps 30 --batch-episodes 4 --group 16 --lr 1e-5 --reward crps --context-len 33 --horizon 32 ;;
	esac
	case $name in
	midtrain | sft | rl) score $name "$btc" --baselines GARCH-t,HAR-t ;;
	skill) score $name "$data" ;;
	*) score $name "$data" --baselines GARCH-t ;;
	esac
done >rows
awk '!seen[$0]++' rows # baselines are the same in every table
