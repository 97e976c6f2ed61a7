package tlsbootstrap

import (
	"crypto/x509"
	"encoding/base64"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"k8s.io/client-go/rest"
)

// ownKubeconfig is a kubeconfig for node n, as this package writes it. Its certificate is valid.
func ownKubeconfig(t testing.TB) []byte {
	t.Helper()
	cfg := Config{NodeName: "n", Kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	cert, key := nodePair(t, cfg.commonName(), time.Hour)
	server := &rest.Config{Host: "https://127.0.0.1:1", TLSClientConfig: rest.TLSClientConfig{CAData: cert}}
	if err := writeKubeconfig(cfg, server, cert, key); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(cfg.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestJoinCutKubeconfig cuts our kubeconfig after each byte. Join never panics. It says that the
// file is damaged and what to do. If the node cannot join again, Join changes nothing.
func TestJoinCutKubeconfig(t *testing.T) {
	whole := ownKubeconfig(t)
	dir := t.TempDir()
	cfg := Config{BootstrapFile: filepath.Join(dir, "none"), Kubeconfig: filepath.Join(dir, "kubeconfig"), NodeName: "n", ContactTimeout: time.Millisecond}
	refused := 0
	for n := range len(whole) + 1 {
		put(t, cfg.Kubeconfig, string(whole[:n]))
		_, err := Join(t.Context(), cfg)
		if err == nil {
			if n < len(whole)-1 {
				t.Fatalf("cut after %d of %d bytes it is taken", n, len(whole))
			}
			continue
		}
		refused++
		for _, part := range []string{cfg.Kubeconfig, "reading the node's kubeconfig", "hack/bootstrap.sh"} {
			if !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("cut after %d bytes the error does not say %q in one line: %v", n, part, err)
			}
		}
		if now, err := os.ReadFile(cfg.Kubeconfig); err != nil || string(now) != string(whole[:n]) {
			t.Fatalf("cut after %d bytes the file was touched: %v", n, err)
		}
	}
	if refused < len(whole)-1 {
		t.Errorf("%d of %d cuts were refused", refused, len(whole))
	}
}

// docs/security.md: "What the agent reads is a regular file of bounded size; a named pipe does not
// stop it."
func TestJoinOddKubeconfigs(t *testing.T) {
	cert, key := selfSignedPair(t, "n")
	_, otherKey := selfSignedPair(t, "n")
	b64 := base64.StdEncoding.EncodeToString
	cluster := "server: 'https://127.0.0.1:1', certificate-authority-data: " + b64(cert)
	pair := func(cert, key []byte) string {
		return "client-certificate-data: " + b64(cert) + ", client-key-data: " + b64(key)
	}
	good := yamlConfig(cluster, "token: a")
	for name, test := range map[string]struct {
		make func(path string) error
		text string
		says string
	}{
		"empty":               {text: "", says: "is empty"},
		"zeros":               {text: strings.Repeat("\x00", 4096), says: "is empty"},
		"another kind":        {text: "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n", says: "not a kubeconfig"},
		"no contexts":         {text: "apiVersion: v1\nkind: Config\ncurrent-context: x\n", says: `no context "x"`},
		"a missing cluster":   {text: strings.Replace(good, "cluster: c,", "cluster: d,", 1), says: `no cluster "d"`},
		"a missing user":      {text: strings.Replace(good, "user: u}", "user: v}", 1), says: `no user "v"`},
		"no PEM":              {text: yamlConfig(cluster, pair([]byte("hello"), key)), says: "no pair in PEM"},
		"no base64":           {text: yamlConfig(cluster, "client-certificate-data: '%%%'"), says: "not a kubeconfig"},
		"key of another":      {text: yamlConfig(cluster, pair(cert, otherKey)), says: "no pair in PEM"},
		"too large":           {text: good + strings.Repeat("#", maxFile), says: "larger than"},
		"all may write":       {make: func(p string) error { return writeMode(p, good, 0o666) }, says: "chmod go-w"},
		"a named pipe":        {make: func(p string) error { return syscall.Mkfifo(p, 0o600) }, says: "not a regular file"},
		"a directory":         {make: func(p string) error { return os.Mkdir(p, 0o700) }, says: "not a regular file"},
		"a pipe for a key":    {text: yamlConfig(cluster, "client-certificate: pipe, client-key: pipe"), says: "not a regular file"},
		"a pipe for a token":  {text: yamlConfig(cluster, "tokenFile: pipe"), says: "not a regular file"},
		"a device":            {make: func(p string) error { return os.Symlink("/dev/zero", p) }, says: "not a regular file"},
		"many aliases":        {text: aliases(), says: "not a kubeconfig"},
		"deep":                {text: strings.Repeat("[", 100_000), says: "not a kubeconfig"},
		"a socket":            {make: socketAt(t), says: "no such device"},
		"a link to nothing":   {make: func(p string) error { return os.Symlink("gone", p) }, says: "bootstrap file"},
		"null for everything": {text: "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{name: x, context: null}]\nclusters: null\nusers: null\n", says: `cluster ""`},
	} {
		for _, as := range []string{"kubeconfig", "bootstrap file"} {
			t.Run(name+" as "+as, func(t *testing.T) {
				dir := t.TempDir()
				cfg := Config{
					BootstrapFile: filepath.Join(dir, "b"), Kubeconfig: filepath.Join(dir, "k"), NodeName: "n", ContactTimeout: time.Millisecond,
				}
				path := map[string]string{"kubeconfig": cfg.Kubeconfig, "bootstrap file": cfg.BootstrapFile}[as]
				if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
					t.Fatal(err)
				}
				if test.make == nil {
					put(t, path, test.text)
				} else if err := test.make(path); err != nil {
					t.Fatal(err)
				}
				_, err := Join(t.Context(), cfg)
				if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), dir) ||
					strings.Contains(err.Error(), "\n") || len(err.Error()) > 1000 {
					t.Errorf("Join says %v", err)
				}
			})
		}
	}
}

func writeMode(path, text string, mode os.FileMode) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

func socketAt(t *testing.T) func(string) error {
	return func(path string) error {
		l, err := net.Listen("unix", path)
		if err == nil {
			t.Cleanup(func() { _ = l.Close() })
		}
		return err
	}
}

// aliases is a YAML text that becomes gigabytes if its aliases are expanded.
func aliases() string {
	text := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 12 {
		n, p := string(rune('a'+i+1)), string(rune('a'+i))
		text += n + "0: &" + n + "0 [*" + strings.Join([]string{p, p, p, p, p, p, p, p, p}, "0, *") + "0]\n"
	}
	return text
}

// FuzzJoin: for any content of the kubeconfig, Join returns an identity or an error of one line.
func FuzzJoin(f *testing.F) {
	whole := ownKubeconfig(f)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte(marker + yamlConfig("server: 'https://127.0.0.1:1', certificate-authority-data: aGVsbG8=", "token: a")))
	f.Add([]byte(marker))
	dir := f.TempDir()
	cfg := Config{BootstrapFile: filepath.Join(dir, "none"), Kubeconfig: filepath.Join(dir, "kubeconfig"), NodeName: "n"}
	f.Fuzz(func(t *testing.T, text []byte) {
		if strings.Contains(strings.ReplaceAll(string(text), "https://127.0.0.1:1", ""), "/dev") {
			return // do not read files that the fuzzer names
		}
		put(t, cfg.Kubeconfig, string(text))
		identity, err := Join(t.Context(), cfg)
		if err == nil && identity.Config().Host == "" || err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("Join gives %v, %v", identity, err)
		}
	})
}

// TestJoinReplacesADamagedKubeconfig: the node joins again without help, and keeps the damaged
// file.
//
// docs/security.md: "A kubeconfig of the agent's own that is damaged, has expired, or is refused by
// the API server is replaced by joining again with the bootstrap file, if there is a valid one"
func TestJoinReplacesADamagedKubeconfig(t *testing.T) {
	w := newWorld(t)
	w.joined()
	whole, err := os.ReadFile(w.cfg.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"cut off": string(whole[:len(whole)*3/4]), "no user's certificate": string(whole[:strings.Index(string(whole), "client-certificate-data")]),
		"empty": "", "zeros": strings.Repeat("\x00", len(whole)), "garbled": marker + "\x01\x02garbled",
	} {
		t.Run(name, func(t *testing.T) {
			put(t, w.cfg.Kubeconfig, text)
			core, logs := observer.New(zapcore.WarnLevel)
			cfg := w.cfg
			cfg.Log = zap.New(core)
			identity, err := Join(w.context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if got := whoami(t, clientOf(t, identity.Config())); got != cfg.commonName() {
				t.Errorf("the API server knows us as %s", got)
			}
			if kept, err := os.ReadFile(cfg.Kubeconfig + ".damaged"); err != nil || string(kept) != text {
				t.Errorf("the damaged file was not kept: %v", err)
			}
			if n := logs.FilterMessageSnippet("damaged").FilterField(zap.String("keptAs", cfg.Kubeconfig+".damaged")).Len(); n != 1 {
				t.Errorf("%d lines tell of it", n)
			}
		})
	}
}

// TestJoinNeverReplacesAnothersKubeconfig: a file without our first line stays, damaged or not.
//
// docs/security.md: "Another person's kubeconfig is never replaced."
func TestJoinNeverReplacesAnothersKubeconfig(t *testing.T) {
	w := newWorld(t)
	w.bootstrapFile("", w.token())
	whole := strings.TrimPrefix(string(ownKubeconfig(t)), marker)
	for _, text := range []string{whole[:len(whole)/2], "garbled", "# a person's\n"} {
		if err := os.MkdirAll(filepath.Dir(w.cfg.Kubeconfig), 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, w.cfg.Kubeconfig, text)
		_, err := Join(w.context(), w.cfg)
		if err == nil || !strings.Contains(err.Error(), w.cfg.Kubeconfig) {
			t.Errorf("Join says %v", err)
		}
		if now, err := os.ReadFile(w.cfg.Kubeconfig); err != nil || string(now) != text {
			t.Errorf("the file was touched: %v", err)
		}
	}
	if found := w.csrs(w.cfg.NodeName); len(found) != 0 {
		t.Errorf("it asked for a certificate: %v", found)
	}
}

// aged makes the node's kubeconfig look old enough to be replaced.
func (w *world) aged() {
	w.t.Helper()
	before := time.Now().Add(-2 * settledAfter)
	if err := os.Chtimes(w.cfg.Kubeconfig, before, before); err != nil {
		w.t.Fatal(err)
	}
}

// TestJoinAgainWhenTheAPIServerRefuses: the cluster was made again with new authorities, so the old
// kubeconfig is not valid for it. The bootstrap file belongs to the new cluster.
//
// docs/security.md: "the node shows it only to a server of the authority that the bootstrap file
// names."
func TestJoinAgainWhenTheAPIServerRefuses(t *testing.T) {
	for _, what := range []string{"the server's authority is another", "the client's authority is another"} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.bootstrapFile("", w.token())
			server, _ := clusterServer(t, w)
			cert, key := nodePair(t, w.cfg.commonName(), time.Hour) // signed by an authority that the cluster does not know
			if what == "the server's authority is another" {
				server.CAData = selfSigned(t)
				cert, key = w.pair(time.Hour, x509.ExtKeyUsageClientAuth)
			}
			if err := writeKubeconfig(w.cfg, server, cert, key); err != nil {
				t.Fatal(err)
			}
			// A new kubeconfig is not replaced, so that restarts do not create many CSRs.
			if _, err := Join(w.context(), w.cfg); err != nil {
				t.Fatal(err)
			}
			if found := w.csrs(w.cfg.NodeName); len(found) != 0 {
				t.Fatalf("a new kubeconfig was replaced, with the CSRs %v", found)
			}
			w.aged()
			identity, err := Join(w.context(), w.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if got := whoami(t, clientOf(t, identity.Config())); got != w.cfg.commonName() {
				t.Errorf("the API server knows us as %s", got)
			}
		})
	}
	t.Run("and the token does not help", func(t *testing.T) {
		w := newWorld(t)
		w.bootstrapFile("", "abcdef.0123456789abcdef")
		server, _ := clusterServer(t, w)
		cert, key := nodePair(t, w.cfg.commonName(), time.Hour)
		if err := writeKubeconfig(w.cfg, server, cert, key); err != nil {
			t.Fatal(err)
		}
		w.aged()
		identity, err := Join(w.context(), w.cfg)
		if err != nil || identity.cert == nil {
			t.Errorf("the agent does not start, and its pods are without one: %v", err)
		}
	})
	t.Run("the same authority, another's certificate", func(t *testing.T) {
		// A server between the node and its API server does not get the node's token.
		w := newWorld(t)
		w.bootstrapFile("", w.token())
		server, ca := clusterServer(t, w)
		cert, key := w.pair(time.Hour, x509.ExtKeyUsageClientAuth)
		server.ServerName = "elsewhere.example"
		if err := writeKubeconfig(w.cfg, server, cert, key); err != nil {
			t.Fatal(err)
		}
		w.aged()
		if _, err := Join(w.context(), w.cfg); err != nil {
			t.Fatal(err)
		}
		if found := w.csrs(w.cfg.NodeName); len(found) != 0 || len(ca) == 0 {
			t.Errorf("it bootstrapped: %v", found)
		}
	})
}

// TestClientExpiresWhileRunning: if a certificate expired before its renewal, the node asks for a
// new one with the token.
func TestClientExpiresWhileRunning(t *testing.T) {
	w := newWorld(t)
	server, _ := clusterServer(t, w)
	// A certificate has whole seconds, and Join must come before its end.
	certPEM, keyPEM := w.pair(5*time.Second, x509.ExtKeyUsageClientAuth)
	if err := writeKubeconfig(w.cfg, server, certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	identity, err := Join(w.context(), w.cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.eventually("expiry", identity.expired)
	w.bootstrapFile("", w.token())
	ctx, cancel := contextWithCancel(t)
	finished := make(chan error, 1)
	go func() { finished <- identity.Run(ctx) }()
	w.eventually("new certificate", func() bool { return !identity.expired() })
	if got := whoami(t, clientOf(t, identity.Config())); got != w.cfg.commonName() {
		t.Errorf("the API server knows us as %s", got)
	}
	cancel()
	if err := <-finished; err != nil {
		t.Errorf("Run says %v", err)
	}
}
