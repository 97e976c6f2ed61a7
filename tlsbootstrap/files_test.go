package tlsbootstrap

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

func contextWithCancel(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}

// selfSigned is an authority that signed none of our certificates.
func selfSigned(t testing.TB) []byte {
	t.Helper()
	cert, _ := selfSignedPair(t, "other")
	return cert
}

func selfSignedPair(t testing.TB, host string, ips ...net.IP) (certPEM, keyPEM []byte) {
	t.Helper()
	certPEM, keyPEM, err := certutil.GenerateSelfSignedCertKey(host, ips, nil)
	if err != nil {
		t.Fatal(err)
	}
	return certPEM, keyPEM
}

func put(t testing.TB, path string, data string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func yamlConfig(cluster, user string) string {
	return "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n" +
		"clusters: [{name: c, cluster: {" + cluster + "}}]\nusers: [{name: u, user: {" + user + "}}]\n"
}

func TestJoinBadFiles(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.crt")
	put(t, ca, string(selfSigned(t)))
	good := "server: 'https://127.0.0.1:1', certificate-authority: " + ca
	for _, test := range []struct {
		name                  string
		bootstrap, kubeconfig string // contents; "-" means that the file does not exist
		says                  []string
	}{
		{"no bootstrap file", "-", "-", []string{"bootstrap file", "no such file", "hack/bootstrap.sh"}},
		{"empty bootstrap file", "", "-", []string{"bootstrap file", "no current context"}},
		{"not YAML", "{{{", "-", []string{"not a kubeconfig"}},
		{"no server", yamlConfig("certificate-authority: "+ca, "token: a"), "-", []string{"names no server"}},
		{"no scheme", yamlConfig("server: '127.0.0.1:1', certificate-authority: "+ca, "token: a"), "-", []string{"https://"}},
		{"plain HTTP", yamlConfig("server: 'http://127.0.0.1:1', certificate-authority: "+ca, "token: a"), "-", []string{"https://"}},
		{"no CA", yamlConfig("server: 'https://127.0.0.1:1'", "token: a"), "-", []string{"no certificate authority"}},
		{"skips verification", yamlConfig("server: 'https://127.0.0.1:1', insecure-skip-tls-verify: true", "token: a"), "-", []string{"no certificate authority"}},
		{"CA file missing", yamlConfig("server: 'https://127.0.0.1:1', certificate-authority: gone.crt", "token: a"), "-", []string{"gone.crt"}},
		{"CA is no PEM", yamlConfig("server: 'https://127.0.0.1:1', certificate-authority-data: aGVsbG8=", "token: a"), "-", []string{"not a certificate"}},
		{"no token", yamlConfig(good, ""), "-", []string{"no token", "hack/bootstrap.sh"}},
		{"kubeconfig without a CA", "-", yamlConfig("server: 'https://127.0.0.1:1'", "token: a"), []string{"kubeconfig", "no certificate authority"}},
		{"kubeconfig empty", "-", "", []string{"kubeconfig", "no current context"}},
		{"kubeconfig with half a pair", "-", yamlConfig(good, "client-certificate-data: aGVsbG8="), []string{"kubeconfig"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			cfg := Config{
				BootstrapFile: filepath.Join(dir, "bootstrap.conf"), Kubeconfig: filepath.Join(dir, "kubeconfig"),
				NodeName: "n", ContactTimeout: time.Millisecond,
			}
			for path, content := range map[string]string{cfg.BootstrapFile: test.bootstrap, cfg.Kubeconfig: test.kubeconfig} {
				if content != "-" {
					put(t, path, content)
				}
			}
			_, err := Join(t.Context(), cfg)
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range append(test.says, dir) {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error does not say %q: %v", part, err)
				}
			}
			if strings.Contains(strings.TrimSpace(err.Error()), "\n") {
				t.Errorf("more than a line: %v", err)
			}
			for path, content := range map[string]string{cfg.BootstrapFile: test.bootstrap, cfg.Kubeconfig: test.kubeconfig} {
				if data, err := os.ReadFile(path); (err == nil) != (content != "-") || err == nil && string(data) != content {
					t.Errorf("%s was touched", path)
				}
			}
		})
	}
}

func TestJoinNeverOverwritesTheBootstrapFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "bootstrap.conf")
	put(t, file, "x")
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, kubeconfig := range []string{file, dir + "/./bootstrap.conf", link} {
		_, err := Join(t.Context(), Config{BootstrapFile: file, Kubeconfig: kubeconfig, NodeName: "n"})
		if err == nil || !strings.Contains(err.Error(), "path of its own") {
			t.Errorf("with the kubeconfig %s Join says %v", kubeconfig, err)
		}
	}
}

// docs/security.md: "A kubeconfig whose certificate is another user's, such as an administrator's,
// is refused."
func TestNodeConfigUsable(t *testing.T) {
	cfg := Config{NodeName: "n", Kubeconfig: "/k"}
	for _, test := range []struct {
		name    string
		ours    bool
		cn      string
		expired bool
		usable  bool
		says    string
	}{
		{name: "ours", ours: true, cn: "system:node:n", usable: true},
		{name: "ours, expired", ours: true, cn: "system:node:n", expired: true},
		{name: "of another node", ours: true, cn: "system:node:m", says: "system:node:m"},
		{name: "a person's", cn: "admin", says: "unset it"},
		{name: "made by another user for this node", cn: "system:node:n", usable: true},
		{name: "made by another user for this node, expired", cn: "system:node:n", expired: true, says: "expired"},
	} {
		t.Run(test.name, func(t *testing.T) {
			leaf := &x509.Certificate{NotAfter: time.Now().Add(time.Hour)}
			leaf.Subject.CommonName = test.cn
			if test.expired {
				leaf.NotAfter = time.Now().Add(-time.Hour)
			}
			usable, err := (&nodeConfig{ours: test.ours, cert: &tls.Certificate{Leaf: leaf}}).usable(cfg)
			if usable != test.usable || (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("usable: %v, %v", usable, err)
			}
		})
	}
}

// FuzzParseKubeconfig: a file is either refused, or its configuration can be used to connect.
func FuzzParseKubeconfig(f *testing.F) {
	f.Add(yamlConfig("server: 'https://127.0.0.1:1', certificate-authority-data: aGVsbG8=", "token: a"))
	f.Add(yamlConfig("server: 'https://127.0.0.1:1', certificate-authority: x", "client-certificate: y"))
	f.Add("apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{name: x}]\nclusters: [{name: ''}]\n")
	f.Add(marker)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "/") && !strings.Contains(text, "https://127.0.0.1:1") {
			return // do not read files that the fuzzer names
		}
		config, err := parseKubeconfig([]byte(text), filepath.Join(dir, "kubeconfig"))
		if err != nil {
			return
		}
		if !strings.HasPrefix(config.Host, "https://") || len(config.CAData) == 0 {
			t.Errorf("accepted a kubeconfig for %q with a CA of %d bytes", config.Host, len(config.CAData))
		}
	})
}

func TestServingFiles(t *testing.T) {
	cert, key := selfSignedPair(t, "host", net.IPv4(127, 0, 0, 1))
	_, otherKey := selfSignedPair(t, "host")
	foreign, foreignKey := selfSignedPair(t, "elsewhere")
	for _, test := range []struct {
		name               string
		cert, key, pending string
		ready              bool // immediately
		renews             bool
		says               string
	}{
		{name: "nothing", renews: true},
		{name: "a person's pair", cert: string(cert), key: string(key), ready: true},
		{name: "a person's pair for other names", cert: string(foreign), key: string(foreignKey), ready: true},
		{name: "mismatch", cert: string(cert), key: string(otherKey), says: "cannot be used together"},
		{name: "no PEM", cert: "hello", key: "hello", says: "cannot be used together"},
		{name: "certificate alone", cert: string(cert), says: "without its key"},
		{name: "key alone", key: string(key), says: "without its certificate"},
		// The common name of this pair is not ours, so the certificate must be requested again.
		{name: "ours, of another node", cert: marker + string(cert), key: string(key), renews: true},
		{name: "ours, key lost", cert: marker + string(cert), renews: true},
		{name: "ours, crash before the key moved", cert: marker + string(cert), pending: string(key), renews: true},
		{name: "ours, crash before the new key moved", cert: marker + string(cert), key: string(otherKey), pending: string(key), renews: true},
		{name: "ours, with a stranger's key", cert: marker + string(cert), key: string(otherKey), says: "cannot be used together"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			cfg := Config{
				NodeName: "n", Hostname: "host", IPs: []net.IP{net.IPv4(127, 0, 0, 1)},
				CertFile: filepath.Join(dir, "c"), KeyFile: filepath.Join(dir, "k"),
			}
			for path, content := range map[string]string{cfg.CertFile: test.cert, cfg.KeyFile: test.key, cfg.KeyFile + ".pending": test.pending} {
				if content != "" {
					put(t, path, content)
				}
			}
			s, err := NewServing(cfg, nil)
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "\n") {
					t.Errorf("NewServing says %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if ready := s.cert.Load() != nil; ready != test.ready || s.renew != test.renews {
				t.Errorf("ready %v, renews %v", ready, s.renew)
			}
			if test.pending != "" {
				if got, err := os.ReadFile(cfg.KeyFile); err != nil || string(got) != test.pending {
					t.Errorf("the pending key was not put in place: %v", err)
				}
			}
		})
	}
}

func TestServingConfig(t *testing.T) {
	for _, test := range []struct {
		name string
		cfg  Config
		says string
	}{
		{"no paths", Config{NodeName: "n", Hostname: "h"}, "paths"},
		{"one path", Config{NodeName: "n", Hostname: "h", CertFile: "a", KeyFile: "a"}, "a file of its own"},
		{"no names", Config{NodeName: "n", CertFile: "a", KeyFile: "b"}, "neither"},
		{"odd hostname", Config{NodeName: "n", Hostname: "a_b", CertFile: "a", KeyFile: "b"}, "a_b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := NewServing(test.cfg, nil); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("NewServing says %v", err)
			}
		})
	}
}

func TestServingNames(t *testing.T) {
	local := net.IPv4(127, 0, 0, 1)
	dns, ips := Config{Hostname: "127.0.0.1", IPs: []net.IP{local}}.servingNames()
	if len(dns) != 0 || len(ips) != 1 {
		t.Errorf("a hostname that is the address gives %v and %v", dns, ips)
	}
	dns, ips = Config{Hostname: "Host", IPs: []net.IP{local}}.servingNames()
	if fmt.Sprint(dns, ips) != "[Host] [127.0.0.1]" {
		t.Errorf("names are %v and %v", dns, ips)
	}
}

func TestRenewalTime(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	cert := &x509.Certificate{NotBefore: start, NotAfter: start.Add(100 * time.Hour)}
	for random, want := range map[float64]time.Duration{0: 70 * time.Hour, 0.5: 80 * time.Hour, 1: 90 * time.Hour} {
		if got := renewalTime(cert, random).Sub(start).Round(time.Second); got != want {
			t.Errorf("at %v renewal comes after %s, want %s", random, got, want)
		}
	}
}

func TestPatience(t *testing.T) {
	csrs := schema.GroupResource{Resource: "certificatesigningrequests"}
	silence := errors.New("connection refused")
	denied := apierrors.NewUnauthorized("who?")
	broken := apierrors.NewInternalError(errors.New("etcd"))
	type step struct {
		after time.Duration
		err   error
		stop  bool
	}
	for _, test := range []struct {
		name  string
		steps []step
	}{
		{"silence", []step{{0, silence, false}, {59 * time.Second, silence, false}, {time.Second, silence, true}}},
		{"silence after contact", []step{{0, broken, false}, {time.Hour, silence, false}}},
		{"rejection that lasts", []step{{0, denied, false}, {time.Second, denied, false}, {time.Second, denied, true}}},
		{"rejection that passes", []step{{0, denied, false}, {time.Second, broken, false}, {time.Second, denied, false}}},
		{"forbidden", []step{{0, apierrors.NewForbidden(csrs, "n", nil), false}, {3 * time.Second, apierrors.NewForbidden(csrs, "n", nil), true}}},
		{"waiting", []step{{time.Hour, errPending, false}, {time.Hour, errGone, false}, {time.Hour, silence, false}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			p := &patience{limit: time.Minute, server: "https://s", now: func() time.Time { return now }}
			p.begin()
			for i, s := range test.steps {
				now = now.Add(s.after)
				if got := p.judge(s.err); (got != nil) != s.stop || got != nil && !errors.Is(got, s.err) {
					t.Fatalf("step %d: %v, want stop %v", i, got, s.stop)
				}
			}
		})
	}
}

// docs/security.md: "`config/kubeconfig`, `config/krustlet.key`, `config/*.pending` | 0600"
func TestPendingKey(t *testing.T) {
	p := pendingKey{filepath.Join(t.TempDir(), "new", "key")}
	first, err := p.load()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(p.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file: %v, %v", info, err)
	}
	again, err := p.load()
	if err != nil || !sameKey(first.Public(), again.Public()) {
		t.Errorf("after a restart there is another key: %v", err)
	}
	if keyHash(first.Public()) != keyHash(again.Public()) || len(keyHash(first.Public())) != 10 {
		t.Errorf("the hash is %s, then %s", keyHash(first.Public()), keyHash(again.Public()))
	}
	if err := p.removeIf(nil); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(p.path); err != nil {
		t.Errorf("the key of another certificate was removed: %v", err)
	}
	put(t, p.path, "torn")
	torn, err := p.load()
	if err != nil || sameKey(torn.Public(), first.Public()) {
		t.Errorf("a torn key file gives %v", err)
	}
	if err := p.removeIf(torn.Public()); err != nil {
		t.Error(err)
	}
	if _, err := keyutil.PrivateKeyFromFile(p.path); err == nil {
		t.Error("a key whose certificate has arrived is still pending")
	}
}

// docs/security.md: "New files are written beside their place and renamed."
func TestWriteFileLeavesNothingHalfWritten(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(path, []byte("x"), 0o600); err == nil {
		t.Fatal("a folder was replaced by a file")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// nodePair is a pair that no authority of a cluster signed.
func nodePair(t testing.TB, commonName string, lifetime time.Duration) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := pendingKey{filepath.Join(t.TempDir(), "key")}.load()
	if err != nil {
		t.Fatal(err)
	}
	if keyPEM, err = keyutil.MarshalPrivateKeyToPEM(key); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: commonName, Organization: []string{nodesGroup}},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(lifetime),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), keyPEM
}
