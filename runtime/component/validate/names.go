package validate

import "strings"

// nameKind is the form of the name of an import or export.
type nameKind uint8

const (
	plainName nameKind = iota
	constructorName
	methodName
	staticName
	interfaceName
)

// externName is the name of an import or export, taken apart.
type externName struct {
	kind     nameKind
	resource string // the first label, of all but an interface's name
	label    string // the second one, of a method or static function
	version  string // of an interface, or ""
	// key is the same for two names that may not both be in one scope.
	key string
}

// parseName takes a name apart. why is "" if it is a name.
func parseName(name string) (n externName, why string) {
	switch {
	case strings.HasPrefix(name, "[constructor]"):
		n.kind, n.resource = constructorName, name[len("[constructor]"):]
		n.key = strings.ToLower(name)
		return n, notLabel(n.resource)
	case strings.HasPrefix(name, "[method]"):
		n.kind = methodName
		return n, n.member(name[len("[method]"):])
	case strings.HasPrefix(name, "[static]"):
		n.kind = staticName
		return n, n.member(name[len("[static]"):])
	case strings.IndexByte(name, ':') >= 0:
		n.kind = interfaceName
		n.key = strings.ToLower(name)
		return n, n.iface(name)
	}
	n.resource, n.key = name, strings.ToLower(name)
	return n, notLabel(name)
}

// member parses what follows the annotation of a method or static function.
func (n *externName) member(rest string) (why string) {
	resource, label, ok := strings.Cut(rest, ".")
	if !ok {
		return "it has no . between the resource and the function"
	}
	n.resource, n.label = resource, label
	n.key = strings.ToLower(rest)
	if strings.EqualFold(resource, label) {
		n.key = strings.ToLower(label)
	}
	if why := notLabel(resource); why != "" {
		return why
	}
	return notLabel(label)
}

// iface parses the name of an interface: namespace:package/interface@version.
func (n *externName) iface(name string) (why string) {
	namespace, rest, _ := strings.Cut(name, ":")
	pkg, rest, ok := strings.Cut(rest, "/")
	if !ok {
		return "it has no / after the package"
	}
	label, version, versioned := strings.Cut(rest, "@")
	switch {
	case !isWords(namespace):
		return "its namespace is not in lower kebab case"
	case !isWords(pkg):
		return "its package is not in lower kebab case"
	case !isLabel(label):
		return "its interface is not in kebab case"
	case versioned && !isSemver(version) && !isCanonicalVersion(version):
		return "its version is not one of semver"
	}
	n.version = version
	return ""
}

func notLabel(s string) (why string) {
	if !isLabel(s) {
		return "it is not in kebab case"
	}
	return ""
}

// isLabel reports whether s is in kebab case: words of small or of capital letters, and digits.
func isLabel(s string) bool { return isKebab(s, true) }

// isWords reports whether s is in kebab case without capital letters.
func isWords(s string) bool { return isKebab(s, false) }

func isKebab(s string, capitals bool) bool {
	for first := true; ; first = false {
		word, rest, more := strings.Cut(s, "-")
		if !isWord(word, first, capitals) {
			return false
		}
		if !more {
			return true
		}
		s = rest
	}
}

func isWord(word string, first, capitals bool) bool {
	if word == "" || first && isDigit(word[0]) {
		return false
	}
	small, capital := false, false
	for _, c := range []byte(word) {
		switch {
		case 'a' <= c && c <= 'z':
			small = true
		case 'A' <= c && c <= 'Z' && capitals:
			capital = true
		case !isDigit(c):
			return false
		}
	}
	return !small || !capital
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isSemver reports whether s is a version of https://semver.org.
func isSemver(s string) bool {
	s, build, hasBuild := strings.Cut(s, "+")
	s, pre, hasPre := strings.Cut(s, "-")
	if hasBuild && !areIdentifiers(build, true) || hasPre && !areIdentifiers(pre, false) {
		return false
	}
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return false
	}
	for _, p := range parts {
		if !isNumber(p) {
			return false
		}
	}
	return true
}

// maxDigits is how many digits a number of a version has at most: it is less than 2^63 then.
const maxDigits = 18

// isNumber reports whether s is a number of a version.
func isNumber(s string) bool {
	if s == "" || len(s) > maxDigits || s[0] == '0' && s != "0" {
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}

// areIdentifiers reports whether s is what follows + or - in a version. A number must not begin
// with 0 but after a +.
func areIdentifiers(s string, zeros bool) bool {
	for _, id := range strings.Split(s, ".") {
		numeric := true
		for _, c := range []byte(id) {
			switch {
			case isDigit(c):
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '-':
				numeric = false
			default:
				return false
			}
		}
		if id == "" || numeric && !zeros && len(id) > 1 && id[0] == '0' {
			return false
		}
	}
	return true
}

// isCanonicalVersion reports whether s is the part of a version that must be equal for two to be
// compatible.
func isCanonicalVersion(s string) bool {
	if s == "0.0.0" {
		return true
	}
	s = strings.TrimPrefix(strings.TrimPrefix(s, "0."), "0.")
	return isNumber(s) && s != "0"
}
