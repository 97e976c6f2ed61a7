package cmdline

import (
	"fmt"
	"strings"
)

// DidYouMean is the end of a message about an unknown word: it names the known word that the user
// likely meant, if there is one.
func DidYouMean(word string, known []string) string {
	best, bestDistance := "", 3
	for _, k := range known {
		if d := editDistance(plain(word), plain(k)); d < bestDistance && d < len(plain(k)) {
			best, bestDistance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// plain makes the ways to write a name equal: node_labels, node-labels, nodeLabels.
func plain(word string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(word))
}

// editDistance is the number of letters to insert, drop or replace to get from a to b
// (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
