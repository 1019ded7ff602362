#!/usr/bin/env bash
# Kills training at random moments, with the signal that cannot be caught,
# resumes it, and compares the finished checkpoint with that of an unbroken run.
#
#   scripts/killtest.sh [RUNS]     stages 1, 3 and 4 in turn
set -euo pipefail
mqc=$(cd -- "$(dirname -- "$0")" && pwd)/mqc
runs=${1:-20}
"$mqc" version >/dev/null
mqc=$(dirname -- "$mqc")/../bin/mqc
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

"$mqc" data generate --assets 4 --candles 800 --out data >/dev/null
csv=$(ls data/SYN-01_*.csv)
"$mqc" tokenize --data data --codes 64 --out tokenizer.safetensors --tokens tokens.txt >/dev/null 2>&1

# stage N OUT [FLAGS]: one run of a stage.
stage() {
	local n=$1 out=$2
	shift 2
	case $n in
	1) "$mqc" train --data data --tokenizer tokenizer.safetensors --preset quick --epochs 6 --batch 16 --lr 2e-3 --dropout 0.1 --patience 0 --out "$out" "$@" ;;
	3) "$mqc" stage3 --in whole1.pt --csv "$csv" --epochs 2 --batch 8 --lr 1e-4 --context-len 32 --horizon 8 --rollout-prob 0.25 --patience 0 --out "$out" "$@" ;;
	4) "$mqc" stage4 --in whole3.pt --csv "$csv" --steps 20 --batch-episodes 2 --group 8 --context-len 32 --horizon 8 --reward crps --patience 0 --out "$out" "$@" ;;
	esac >/dev/null 2>>log
}

declare -A seconds
for n in 1 3 4; do
	begin=$(date +%s%N)
	stage $n whole$n.pt
	seconds[$n]=$((($(date +%s%N) - begin) / 1000000))
	echo "stage $n unbroken: ${seconds[$n]} ms, $(sha256sum whole$n.pt | cut -c1-16)"
done

same=0
stages=(1 3 4)
for ((run = 0; run < runs; run++)); do
	n=${stages[run % 3]}
	rm -f broken.pt broken.pt.resume
	kills=0
	while [ ! -f broken.pt ] || [ -f broken.pt.resume ]; do
		flags=()
		[ -f broken.pt.resume ] && flags=(--resume)
		# In a process group of its own, so that the kill reaches the program
		# and nothing else.
		set -m
		stage $n broken.pt "${flags[@]}" &
		job=$!
		set +m
		if [ $kills -lt 3 ]; then
			sleep "$(awk -v ms=${seconds[$n]} -v r=$RANDOM 'BEGIN { printf "%.3f", r / 32768 * ms / 1000 }')"
			if kill -9 -- -$job 2>/dev/null; then
				kills=$((kills + 1))
				wait $job 2>/dev/null || true
				continue
			fi
		fi
		if ! wait $job; then
			echo "stage $n failed:" >&2
			tail -n 3 log >&2
			exit 1
		fi
	done
	if cmp -s whole$n.pt broken.pt; then
		same=$((same + 1))
		echo "run $((run + 1)): stage $n, killed $kills times: identical"
	else
		echo "run $((run + 1)): stage $n, killed $kills times: DIFFERENT"
	fi
done
echo "$same of $runs identical"
[ $same -eq "$runs" ]
