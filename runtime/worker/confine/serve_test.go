package confine

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/authority"
)

// served is a worker that serves an HTTP handler: on a plain port and one with TLS, whose
// certificate it reads after Apply. Clients are in the same process.
func served(what task) {
	apply(what)
	dir := filepath.Join(what.Dir, "pods")
	var said []string
	for _, encrypted := range []bool{false, true} {
		said = append(said, answerOnce(dir, encrypted))
	}
	if _, err := os.ReadFile(filepath.Join(what.Dir, "config/kubeconfig")); err == nil {
		said = append(said, "it reads what is hidden")
	}
	say(strings.Join(said, "; "))
}

// answerOnce serves two requests on one connection, and ends the server as a worker does.
func answerOnce(dir string, encrypted bool) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err.Error()
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // it serves two requests of this process
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, r.Proto, " ", n)
	})}
	serve, scheme, client := server.Serve, "http", &http.Client{}
	if encrypted {
		roots := x509.NewCertPool()
		pem, err := os.ReadFile(filepath.Join(dir, "tls.crt"))
		if err != nil || !roots.AppendCertsFromPEM(pem) {
			return fmt.Sprint("reading the certificate: ", err)
		}
		scheme = "https"
		serve = func(l net.Listener) error {
			return server.ServeTLS(l, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
		}
		client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	}
	ended := make(chan error, 1)
	go func() { ended <- serve(listener) }()
	defer func() { _ = server.Close(); <-ended }()
	text := ""
	for range 2 {
		resp, err := client.Post(scheme+"://"+listener.Addr().String(), "text/plain", strings.NewReader(strings.Repeat("x", 1<<20)))
		if err != nil {
			return err.Error()
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return err.Error()
		}
		text = string(body)
	}
	client.CloseIdleConnections()
	return text
}

// TestHandlerIsServed: Go's HTTP server works in a confined worker, with and without TLS, and reads
// its certificate from a volume of the pod.
func TestHandlerIsServed(t *testing.T) {
	for _, u := range users() {
		t.Run(u.name, func(t *testing.T) {
			what := data(t, u)
			ca := authority.New(t, "ca")
			cert := ca.Sign(t, x509.ExtKeyUsageServerAuth, "127.0.0.1")
			for name, pem := range map[string][]byte{
				"tls.crt": append(authority.CertificatePEM(cert), ca.PEM...), "tls.key": authority.KeyPEM(t, cert),
			} {
				path := file(t, u, what.Dir, "pods", name)
				if err := os.WriteFile(path, pem, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := perform[string](t, u, "served", what); got != "HTTP/1.1 1048576; HTTP/2.0 1048576" {
				t.Error(got)
			}
		})
	}
}
