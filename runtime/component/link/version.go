package link

import "strings"

// Compatible returns the name of an interface with the part of its version that tells which
// versions are compatible: wasi:io/streams@0.2 of wasi:io/streams@0.2.4, a:b/c@1 of a:b/c@1.2.3. A
// version before a release is compatible with itself only.
func Compatible(name string) string {
	base, version, ok := strings.Cut(name, "@")
	if !ok {
		return name
	}
	version, _, _ = strings.Cut(version, "+")
	if strings.Contains(version, "-") {
		return base + "@" + version
	}
	major, rest, _ := strings.Cut(version, ".")
	if major != "0" {
		return base + "@" + major
	}
	minor, patch, _ := strings.Cut(rest, ".")
	if minor != "0" || patch == "" {
		return base + "@0." + minor
	}
	return base + "@" + version
}
