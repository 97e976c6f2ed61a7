#!/usr/bin/env bash
# Builds a program with Go, and shows the progress: a first build takes minutes.
# Use: hack/build.sh FILE [ARGUMENT OF GO BUILD]... PACKAGE
set -euo pipefail

out=$(realpath -m "$1")
shift
mkdir -p "$(dirname "$out")"

# This downloads missing modules, and says so.
packages=$(go list -deps "${@: -1}" | wc -l)
new=$out.new.$$
trap 'rm -f "$new"' EXIT

# -v prints each package when it has been compiled. It does not print packages from the build cache.
go build -v -o "$new" "$@" 2>&1 | {
	compiled=0 start=$SECONDS shown=$SECONDS
	while true; do
		line='' ended=0
		read -r -t 5 line || ended=$?
		if ((ended == 0)); then
			# A package is one word. Any other line is an error of the build.
			if [[ $line != */* && $line != [a-z]* || $line == *' '* ]]; then
				echo "$line" >&2
			else
				compiled=$((compiled + 1))
			fi
		elif ((ended <= 128)); then
			break
		fi
		if ((SECONDS - shown >= 5)); then
			shown=$SECONDS
			echo "   $compiled of at most $packages packages compiled, $((SECONDS - start)) s"
		fi
	done
	if ((compiled > 0)); then
		echo "   $compiled packages compiled in $((SECONDS - start)) s"
	fi
}
# Programs that run the old file continue with it.
mv "$new" "$out"
