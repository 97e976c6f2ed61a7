package tlsbootstrap

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/connrotation"
)

// clientCert is a client certificate that can be replaced while clients use it.
type clientCert struct {
	cert   atomic.Pointer[tls.Certificate]
	dialer *connrotation.Dialer
}

func newClientCert(cert *tls.Certificate) *clientCert {
	dial := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	c := &clientCert{dialer: connrotation.NewDialer(dial.DialContext)}
	c.cert.Store(cert)
	return c
}

func (c *clientCert) current() *tls.Certificate { return c.cert.Load() }

// use replaces the certificate. It closes the connections, because the API server knows a
// connection by the certificate that it was made with. Requests under way fail, and their callers
// try again.
func (c *clientCert) use(cert *tls.Certificate) {
	c.cert.Store(cert)
	c.dialer.CloseAll()
}

// restConfig returns a configuration for the server of source. Its transport presents the current
// certificate.
func (c *clientCert) restConfig(source *rest.Config) (*rest.Config, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(source.CAData) {
		return nil, fmt.Errorf("no certificate authority in PEM")
	}
	transport := utilnet.SetTransportDefaults(&http.Transport{
		Proxy:               source.Proxy,
		DialContext:         c.dialer.DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 25,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12,
			RootCAs:    roots,
			ServerName: source.ServerName,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				return c.current(), nil
			},
		},
	})
	return &rest.Config{Host: source.Host, APIPath: source.APIPath, Transport: transport}, nil
}
