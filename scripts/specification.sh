#!/bin/sh
# Runs every command line of the specification, which scripts/specification.txt
# lists in its order, in a temporary folder whose data/ holds the candles of
# FOLDER, and prints the exit code and the seconds of each. It fails if one does.
#
#   scripts/specification.sh FOLDER       # a folder with BTC-USD_*_1d.csv in it
#
#   SHORT="train stage1"   lines of these commands get --depth 2, and say so
#   LIMIT=600              seconds after which a line is interrupted
#   LOGS=DIR               where what the lines print is kept
set -eu
scripts=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
data=$(CDPATH= cd -- "${1:?name the folder with the CSV files}" && pwd)
short=" ${SHORT-} "
limit=${LIMIT:-600}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
logs=$work/logs
if [ -n "${LOGS-}" ]; then
	mkdir -p "$LOGS"
	logs=$(CDPATH= cd -- "$LOGS" && pwd)
fi
mkdir -p "$work/data" "$logs"
for file in "$data"/*.csv*; do
	case ${file##*/} in
	BTC-USD_*_1d.csv) ln -s "$file" "$work/data/BTC-USD_2014-09-17_2025-12-31_1d.csv" ;;
	*) ln -s "$file" "$work/data/" ;;
	esac
done
"$scripts/mqc" version
cd "$work"

failed=0 number=0
echo "exit  seconds  line"
while read -r line <&3; do
	number=$((number + 1))
	command=${line#./scripts/mqc }
	case $command in
	./scripts/run.sh\ src/train.py*) command=train ;;
	esac
	case $short in
	*" ${command%% *} "*) line="$line --depth 2" ;;
	esac
	log=$logs/$(printf %02d $number)
	began=$(date +%s)
	code=0
	timeout -s INT "$limit" sh -c "$(printf %s "$line" | sed "s|^\./scripts/|'$scripts'/|")" >"$log.out" 2>"$log.err" </dev/null || code=$?
	printf '%4d  %7d  %s\n' $code $(($(date +%s) - began)) "$line"
	if [ $code != 0 ]; then
		failed=1
		tail -n 3 "$log.err" >&2
		rm -f checkpoints/*.resume
	fi
done 3<"$scripts/specification.txt"
exit $failed
