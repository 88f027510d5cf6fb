#!/usr/bin/env bash
# Judges the same documents with ours and with the command `en16931` of the crate en16931-cli (which judges each by the
# profile that it declares), one after the other and several times, and prints documents per second of processor time
# (user and system; start, reading of files and JSON report included), the median and all runs. Processor time, because
# the machine may be shared and one of the two may use all cores. OURS is a command that takes a list of files.
#
#   cargo install en16931-cli --version 0.8.0 --root PEER
#   invoices/examples/side_by_side.sh "target/release/muniment invoice check -o jsonl --files-from" PEER/bin/en16931 FOLDER…
#   invoices/examples/side_by_side.sh "target/release/examples/invoice_bench report" PEER/bin/en16931 FOLDER…
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2; }
read -ra ours <<<"$1"
peer=$2
shift 2
rounds=${ROUNDS:-5} repeat=${REPEAT:-10}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
find "$@" -type f -iname '*.xml' | sort >"$work/once"
for _ in $(seq "$repeat"); do cat "$work/once"; done >"$work/list"
count=$(wc -l <"$work/list")
echo "$(wc -l <"$work/once") documents, each $repeat times a run, $rounds runs; $("$peer" --version)"
TIMEFORMAT='%U %S'

# Seconds of processor time. Both tools end with 1 if some document is not valid, xargs then with 123.
measure() {
  { time "$@" >"$work/report" 2>"$work/errors" || [[ $? == 1 || $? == 123 ]]; } 2>&1 | awk '{ print $1 + $2 }'
}

for _ in $(seq "$rounds"); do
  measure "${ours[@]}" "$work/list" >>"$work/muniment"
  measure xargs -a "$work/list" -d '\n' "$peer" validate --format json >>"$work/en16931"
done
for tool in muniment en16931; do
  awk -v tool=$tool -v count="$count" '{ printf "%s %.0f\n", tool, count / $1 }' "$work/$tool" | sort -k2n >"$work/rates"
  awk '{ tool = $1; rate[NR] = $2; all = all " " $2 }
    END { printf "%-9s %6d documents/s (runs:%s)\n", tool, rate[int((NR + 1) / 2)], all }' "$work/rates"
done
