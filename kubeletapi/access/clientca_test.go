package access

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap/zaptest"

	"github.com/krustlet-go/krustlet-wasi/hack/authority"
)

// docs/security.md: "The authority's file is read again when it changes".
func TestClientCAFollowsItsFile(t *testing.T) {
	first, second := authority.New(t, "first"), authority.New(t, "second")
	file := filepath.Join(t.TempDir(), "ca.crt")
	write := func(text []byte) {
		t.Helper()
		next := file + ".new" // replaced as configuration tools do
		if err := os.WriteFile(next, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, file); err != nil {
			t.Fatal(err)
		}
	}
	write(first.PEM)
	ca, err := newClientCA(Config{ClientCAFile: file, Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	trusts := func(signer *authority.Authority) bool {
		der := signer.Sign(t, x509.ExtKeyUsageClientAuth, "jo").Certificate[0]
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		options, ok := ca.VerifyOptions()
		if !ok {
			t.Fatal("no options")
		}
		_, err = leaf.Verify(options)
		return err == nil
	}
	check := func(when string, ofFirst, ofSecond bool) {
		t.Helper()
		if trusts(first) != ofFirst || trusts(second) != ofSecond {
			t.Errorf("%s: trusts the first %t, the second %t", when, trusts(first), trusts(second))
		}
	}
	check("at first", true, false)
	write(second.PEM)
	check("replaced", false, true)
	write([]byte("half a certif"))
	check("broken", false, true)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	check("gone", false, true)
	write(append(first.PEM, second.PEM...))
	check("both", true, true)
}

func TestClientCAIsRequired(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.crt")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		config Config
		say    string
	}{
		{Config{}, "missing"},
		{Config{ClientCAFile: "/does/not/exist"}, "/does/not/exist"},
		{Config{ClientCAFile: empty}, empty},
		{Config{ClientCAData: []byte("nothing")}, "no PEM certificate"},
	} {
		if _, err := newClientCA(test.config); err == nil || !strings.Contains(err.Error(), test.say) {
			t.Errorf("%v does not say %q", err, test.say)
		}
	}
}
