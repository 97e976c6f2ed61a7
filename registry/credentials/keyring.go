package credentials

import (
	"maps"
	"net"
	"net/url"
	"path"
	"slices"
	"strings"
)

// Keyring holds credentials by the pattern that they are for. The zero value is empty.
type Keyring struct {
	patterns []string // in reverse order, so that the more specific comes first; no duplicates
	held     map[string][]Credential
}

// defaultRegistry is the name under which docker keeps the credentials of docker.io.
const defaultRegistry = "index.docker.io"

// add takes the entries of a docker config, by their patterns. It skips entries whose pattern it
// cannot read.
func (k *Keyring) add(auths map[string]Credential, owner Owner) {
	if k.held == nil {
		k.held = map[string][]Credential{}
	}
	for _, name := range slices.Sorted(maps.Keys(auths)) { // so that several entries for one pattern keep the same order
		pattern, ok := patternOf(name)
		if !ok {
			continue
		}
		c := auths[name]
		c.Owner = owner
		if _, known := k.held[pattern]; !known {
			k.patterns = append(k.patterns, pattern)
		}
		k.held[pattern] = append(k.held[pattern], c)
	}
	slices.Sort(k.patterns)
	slices.Reverse(k.patterns)
}

// notInPatterns are characters that no image name has and that have a meaning in a URL. If they
// were allowed, a pattern might match the images of another owner.
const notInPatterns = "?#%"

// patternOf is the host and path that an entry of a docker config is for. An entry may have a
// scheme, and docker's API version in front of the path.
func patternOf(name string) (string, bool) {
	if !strings.HasPrefix(name, "https://") && !strings.HasPrefix(name, "http://") {
		name = "https://" + name
	}
	u, err := url.Parse(name)
	if err != nil || strings.ContainsAny(name, notInPatterns) {
		return "", false
	}
	at := u.Path
	if strings.HasPrefix(at, "/v1/") || strings.HasPrefix(at, "/v2/") {
		at = at[len("/v1"):]
	}
	if at == "/" {
		at = ""
	}
	return u.Host + at, true
}

// Lookup returns the credentials for an image. image is a registry and a repository.
func (k Keyring) Lookup(image string) []Credential {
	var found []Credential
	for _, pattern := range k.patterns {
		if matches(pattern, image) {
			found = append(found, k.held[pattern]...)
		}
	}
	if found == nil && isDefaultRegistry(image) {
		found = slices.Clone(k.held[defaultRegistry])
	}
	return found
}

func isDefaultRegistry(image string) bool {
	host, _, _ := strings.Cut(image, "/")
	return host == "docker.io" || host == defaultRegistry
}

// matches reports whether a pattern is for an image. Each part of the host may have globs. The port
// must be equal. The image's path must begin with the pattern's path.
func matches(pattern, image string) bool {
	want, err := url.Parse("https://" + pattern)
	if err != nil || strings.ContainsAny(pattern, notInPatterns) {
		return false
	}
	have, err := url.Parse("https://" + image)
	if err != nil {
		return false
	}
	wantParts, wantPort := hostParts(want.Host)
	haveParts, havePort := hostParts(have.Host)
	if wantPort != havePort || len(wantParts) != len(haveParts) || !strings.HasPrefix(have.Path, want.Path) {
		return false
	}
	for i, part := range wantParts {
		if ok, err := path.Match(part, haveParts[i]); !ok || err != nil {
			return false
		}
	}
	return true
}

// hostParts splits a host at its dots, and returns its port too.
func hostParts(host string) (parts []string, port string) {
	if bare, p, err := net.SplitHostPort(host); err == nil {
		host, port = bare, p
	}
	return strings.Split(host, "."), port
}
