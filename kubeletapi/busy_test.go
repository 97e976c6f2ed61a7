package kubeletapi

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/krustlet-go/krustlet-wasi/hack/authority"
	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/kubeletapi/access"
)

// The answer says when the client may ask again.
//
// docs/security.md: "Beyond that the answer is 429 with `Retry-After`".
func TestTooManyReviewsIsTold(t *testing.T) {
	for name, auth := range map[string]access.Auth{"tokens": &busyAuth{token: true}, "rights": &busyAuth{}} {
		s := newServer(t, func(c *Config) { c.Auth = auth })
		w := serve(s, "GET", "/pods", "jo")
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
		if closes := w.Header().Get("Connection") == "close"; closes != (name == "tokens") {
			t.Errorf("%s: closes the connection: %t", name, closes)
		}
	}
}

// busyAuth is an Auth that was asked too often.
type busyAuth struct {
	guard
	token bool
}

func (b *busyAuth) Authenticate(*http.Request) (user.Info, bool, error) {
	if b.token {
		return nil, false, fmt.Errorf("reviewing: %w", access.ErrTooManyReviews)
	}
	return &user.DefaultInfo{Name: "jo"}, true, nil
}

func (*busyAuth) Authorize(context.Context, user.Info, string, string) (bool, error) {
	return false, access.ErrTooManyReviews
}

// counting counts the requests for reviews that go to the API server.
type counting struct {
	next    http.RoundTripper
	reviews *atomic.Int64
}

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/tokenreviews") {
		c.reviews.Add(1)
	}
	return c.next.RoundTrip(r)
}

// The API server itself is asked a bounded number of times. Meanwhile users who are known are
// served.
func TestReviewsOfARealCluster(t *testing.T) {
	cluster := testcluster.Start(t)
	namespace := cluster.Namespace(t)
	node := "node-of-" + namespace
	ca := clusterAuthority(t, cluster)
	var reviews atomic.Int64
	server := runServer(t, ca, func(c *Config) {
		c.Auth = nodeAuth(t, cluster, cluster.Config().Host, node, func(a *access.Config) {
			certificate := ca.Sign(t, x509.ExtKeyUsageClientAuth, "system:node:"+node, "system:nodes")
			config := &rest.Config{
				Host: cluster.Config().Host, QPS: -1,
				TLSClientConfig: rest.TLSClientConfig{CAData: ca.PEM, CertData: authority.CertificatePEM(certificate), KeyData: authority.KeyPEM(t, certificate)},
			}
			config.Wrap(func(next http.RoundTripper) http.RoundTripper { return counting{next, &reviews} })
			client, err := kubernetes.NewForConfig(config)
			if err != nil {
				t.Fatal(err)
			}
			a.Client = client
		})
	})
	plain := server.client(t, true, nil)
	admin := server.client(t, true, ca.Sign(t, x509.ExtKeyUsageClientAuth, "root", "system:masters"))
	known := account(t, cluster, namespace, "log", nodeRule("get", "nodes/log"))
	const page = "/containerLogs/ns/p/c"
	if code, text := ask(t, plain, "GET", server.url+page, known); code != 200 {
		t.Fatalf("%d %q", code, text)
	}
	began, codes := time.Now(), map[int]int{}
	for range 200 {
		code, _ := ask(t, plain, "GET", server.url+page, rand.Text())
		codes[code]++
	}
	most := int64(1 + 20 + 2*time.Since(began).Seconds() + 1)
	if n := reviews.Load(); n > most || codes[401]+codes[429] != 200 || codes[429] == 0 {
		t.Errorf("%d reviews, want %d at most; answers %v", n, most, codes)
	}
	if code, text := ask(t, plain, "GET", server.url+page, known); code != 200 {
		t.Errorf("a token that was good: %d %q", code, text)
	}
	if code, text := ask(t, admin, "GET", server.url+page, ""); code != 200 {
		t.Errorf("a certificate: %d %q", code, text)
	}
	t.Logf("%d reviews, answers %v", reviews.Load(), codes)
}
