package world

import (
	"cmp"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
)

// newest is the newest of the exports that were offered.
type newest struct {
	entry Entry
	patch string // the last number of its version
}

// offer takes an export if it is an instance with one of the names, and newer than the one before.
func (n *newest) offer(item Item, names map[int]string) {
	if item.Sort != binary.SortInstance {
		return
	}
	name, version, _ := strings.Cut(item.FullName(), "@")
	minor, patch, ok := release(version)
	if !ok || names[minor] != name {
		return
	}
	if minor > n.entry.WASI || minor == n.entry.WASI && compare(patch, n.patch) > 0 {
		n.entry, n.patch = Entry{Name: item.Name, WASI: minor}, patch
	}
}

// release splits the version of a release 0.2.x or 0.3.x of WASI. Versions before a release are not
// compatible with it (semver.org, 9), so they are none.
func release(version string) (minor int, patch string, ok bool) {
	version, _, _ = strings.Cut(version, "+")
	for m, prefix := range map[int]string{2: "0.2", 3: "0.3"} {
		rest, is := strings.CutPrefix(version, prefix)
		switch {
		case !is:
		case rest == "": // as much of the version as must be equal
			return m, "0", true
		case rest[0] == '.' && isNumber(rest[1:]):
			return m, rest[1:], true
		}
	}
	return 0, "", false
}

// isNumber reports whether s is a number of a version.
func isNumber(s string) bool {
	return s == "0" || s != "" && s[0] != '0' && strings.Trim(s, "0123456789") == ""
}

// compare compares two numbers of versions. They may have any number of digits.
func compare(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}
