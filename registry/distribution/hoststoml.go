package distribution

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"golang.org/x/net/http/httpguts"
)

// hostSettings are the settings of one host in a hosts.toml.
type hostSettings struct {
	url           *url.URL // its path is where the API is; nil means the registry itself, as if there were no file
	pull, resolve bool
	authorities   []string    // files
	clients       [][2]string // files: certificate and key
	skipVerify    bool
	header        http.Header
	dialTimeout   time.Duration // 0: the default
}

// hostTable is the form of these settings in the file.
type hostTable struct {
	Capabilities []string       `toml:"capabilities"`
	CA           any            `toml:"ca"`
	Client       any            `toml:"client"`
	SkipVerify   bool           `toml:"skip_verify"`
	Header       map[string]any `toml:"header"`
	OverridePath bool           `toml:"override_path"`
	DialTimeout  string         `toml:"dial_timeout"`
}

// parseHosts reads a hosts.toml in containerd's format. The result has the hosts in the order of
// the file, and the server last. Paths in it are relative to dir. Unknown keys are ignored, because
// a newer containerd may share the file.
func parseHosts(dir string, data []byte) ([]hostSettings, error) {
	var file struct {
		hostTable
		Server string               `toml:"server"`
		Host   map[string]hostTable `toml:"host"`
	}
	if err := checkLength(data); err != nil {
		return nil, err
	}
	meta, err := toml.Decode(string(data), &file)
	if err != nil {
		return nil, err
	}
	if err := checkCase(meta); err != nil {
		return nil, err
	}
	var all []hostSettings
	seen := map[string]bool{}
	for _, key := range meta.Keys() {
		if len(key) < 2 || key[0] != "host" || seen[key[1]] {
			continue
		}
		seen[key[1]] = true
		s, err := file.Host[key[1]].settings(dir, key[1])
		if err != nil {
			return nil, fmt.Errorf("reading host %q: %w", key[1], err)
		}
		all = append(all, s)
	}
	server, err := file.settings(dir, file.Server)
	if err != nil {
		return nil, fmt.Errorf("reading server %q: %w", file.Server, err)
	}
	return append(all, server), nil
}

// The decoder's time grows with the third power of the length of a line of nested keys.
const (
	maxHosts     = 64 << 10 // bytes
	maxHostsLine = 8 << 10  // bytes
)

func checkLength(data []byte) error {
	if len(data) > maxHosts {
		return fmt.Errorf("it is larger than %d bytes", maxHosts)
	}
	n := 0
	for line := range bytes.Lines(data) {
		if n++; len(line) > maxHostsLine {
			return fmt.Errorf("line %d is longer than %d bytes", n, maxHostsLine)
		}
	}
	return nil
}

// checkCase finds keys that the decoder accepted although their case is wrong. TOML does not allow
// them, and if both spellings are there the decoder may take either.
func checkCase(meta toml.MetaData) error {
	passed := map[string]bool{}
	for _, key := range meta.Undecoded() {
		passed[key.String()] = true
	}
	for _, key := range meta.Keys() {
		ours := len(key) == 1 || len(key) == 3 && strings.EqualFold(key[0], "host")
		if name := key[len(key)-1]; ours && name != strings.ToLower(name) && !passed[key.String()] {
			return fmt.Errorf("the key %q must be written %q", name, strings.ToLower(name))
		}
	}
	return nil
}

func (t hostTable) settings(dir, host string) (hostSettings, error) {
	s := hostSettings{skipVerify: t.SkipVerify}
	var errs [6]error
	s.url, errs[0] = hostURL(host, t.OverridePath)
	s.pull, s.resolve, errs[1] = capabilities(t.Capabilities)
	s.authorities, errs[2] = texts("ca", t.CA)
	s.clients, errs[3] = clientPairs(t.Client)
	s.header, errs[4] = headers(t.Header)
	if t.DialTimeout != "" {
		s.dialTimeout, errs[5] = time.ParseDuration(t.DialTimeout)
	}
	for i, file := range s.authorities {
		s.authorities[i] = below(dir, file)
	}
	for i, pair := range s.clients {
		s.clients[i] = [2]string{below(dir, pair[0]), below(dir, pair[1])}
	}
	return s, errors.Join(errs[:]...)
}

func below(dir, file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(dir, file)
}

// hostURL is the URL of a host's API: below /v2, or at the path as it is if asIs is set.
func hostURL(host string, asIs bool) (*url.URL, error) {
	if host == "" {
		return nil, nil
	}
	if !strings.Contains(host, "://") {
		host = "https://" + host
	}
	u, err := url.Parse(host)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, errors.New("write it as https://HOST[:PORT][/PATH] or http://HOST[:PORT][/PATH]")
	}
	at := ""
	if u.Path != "" {
		at = strings.TrimSuffix(path.Clean(u.Path), "/")
	}
	if !asIs && !strings.HasSuffix(at, "/v2") {
		at += "/v2"
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: at}, nil
}

// capabilities reads the list of capabilities. An empty list means all.
func capabilities(named []string) (pull, resolve bool, err error) {
	if len(named) == 0 {
		return true, true, nil
	}
	for _, name := range named {
		switch strings.ToLower(name) {
		case "pull":
			pull = true
		case "resolve":
			resolve = true
		case "push":
		default:
			return false, false, fmt.Errorf("capability %q is none of pull, resolve and push", name)
		}
	}
	return pull, resolve, nil
}

// texts reads a string or a list of strings.
func texts(key string, value any) ([]string, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		var all []string
		for _, item := range v {
			text, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("%s holds %v, which is no string", key, item)
			}
			all = append(all, text)
		}
		return all, nil
	}
	return nil, fmt.Errorf("%s is %v, and must be a string or a list of strings", key, value)
}

// headers reads the additional headers for each request.
func headers(table map[string]any) (http.Header, error) {
	all := http.Header{}
	for _, name := range slices.Sorted(maps.Keys(table)) { // several keys may mean one header
		values, err := texts("header."+name, table[name])
		if err != nil {
			return nil, err
		}
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, fmt.Errorf("%q is no name of a header", name)
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return nil, fmt.Errorf("the value of header.%s is none that a header can have", name)
			}
			all.Add(name, v)
		}
	}
	return all, nil
}

// clientPairs reads a file with certificate and key, a list of such files, or a list of pairs of
// files.
func clientPairs(value any) ([][2]string, error) {
	list, ok := value.([]any)
	if !ok {
		files, err := texts("client", value)
		list = nil
		for _, f := range files {
			list = append(list, f)
		}
		if err != nil {
			return nil, err
		}
	}
	var pairs [][2]string
	for _, item := range list {
		files, err := texts("client", item)
		switch {
		case err != nil:
			return nil, err
		case len(files) == 1:
			pairs = append(pairs, [2]string{files[0], files[0]})
		case len(files) == 2:
			pairs = append(pairs, [2]string{files[0], files[1]})
		default:
			return nil, errors.New("client must name a file, or pairs of a certificate's and a key's")
		}
	}
	return pairs, nil
}
