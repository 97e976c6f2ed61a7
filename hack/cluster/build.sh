#!/usr/bin/env bash
# Builds the control plane's binary, and shows how far it is: the first build takes 10 minutes on 2 cores.
# Use: hack/cluster/build.sh FILE LDFLAGS
set -euo pipefail

out=$(realpath "$1")
ldflags=$2
cd "$(dirname "$0")"

packages=$(go list -deps . | wc -l)
new=$out.new.$$
trap 'rm -f "$new"' EXIT

# -v names each package when it has been compiled; what the build cache has is not named.
go build -v -ldflags "$ldflags" -o "$new" . 2>&1 | {
	done=0 start=$SECONDS shown=$SECONDS
	while read -r line; do
		# A package is one word; anything else is an error of the build.
		if [[ $line != */* && $line != [a-z]* || $line == *' '* ]]; then
			echo "$line" >&2
			continue
		fi
		done=$((done + 1))
		if ((SECONDS - shown >= 5)); then
			shown=$SECONDS
			echo "   $done of at most $packages packages compiled, $((SECONDS - start)) s"
		fi
	done
	if ((done > 0)); then
		echo "   $done packages compiled in $((SECONDS - start)) s"
	fi
}
# Clusters that run go on with the old file.
mv "$new" "$out"
