package cmdline

import (
	"fmt"
	"strings"
)

// DidYouMean is the end of a message about an unknown word. It names the known word that the user
// probably meant, or is empty.
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

// plain makes different spellings of a name equal: node_labels, node-labels, nodeLabels.
func plain(word string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(word))
}

// editDistance is how many letters must be inserted, removed or replaced to turn a into b
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
