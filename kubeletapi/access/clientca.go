package access

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"

	"go.uber.org/zap"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
)

// clientCA is the authority behind client certificates. A file is looked at on
// each use, one stat(2), and read again when it is another one or has changed; so
// a new authority counts at once and no goroutine has to watch it. It is a
// dynamiccertificates.CAContentProvider.
type clientCA struct {
	file string // empty: fixed
	log  *zap.Logger

	mu      sync.Mutex
	stale   bool        // the file could not be read, and that was logged
	seen    os.FileInfo // of what pem was read from
	pem     []byte
	options x509.VerifyOptions
}

var _ dynamiccertificates.CAContentProvider = (*clientCA)(nil)

func newClientCA(config Config) (*clientCA, error) {
	c := &clientCA{file: config.ClientCAFile, log: config.Log}
	if c.file != "" {
		return c, c.refresh()
	}
	if len(config.ClientCAData) == 0 {
		return nil, errors.New("the certificate authority of clients is missing: without it the API server cannot be recognised")
	}
	if err := c.use(config.ClientCAData); err != nil {
		return nil, fmt.Errorf("reading the certificate authority of clients: %w", err)
	}
	return c, nil
}

func (c *clientCA) use(pem []byte) error {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return errors.New("there is no PEM certificate in it")
	}
	c.pem = pem
	c.options = x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	return nil
}

// refresh reads the file if it is not what was read last. The caller holds mu.
func (c *clientCA) refresh() error {
	now, err := os.Stat(c.file)
	if err != nil {
		return fmt.Errorf("reading the certificate authority of clients: %w", err)
	}
	if c.seen != nil && os.SameFile(c.seen, now) && c.seen.ModTime().Equal(now.ModTime()) && c.seen.Size() == now.Size() {
		return nil
	}
	pem, err := os.ReadFile(c.file)
	if err != nil {
		return fmt.Errorf("reading the certificate authority of clients: %w", err)
	}
	if err := c.use(pem); err != nil {
		return fmt.Errorf("reading the certificate authority of clients, %s: %w", c.file, err)
	}
	c.seen = now
	return nil
}

// VerifyOptions returns how to verify a client certificate now. A file that
// cannot be read, or is being written, leaves the last good authority in place.
func (c *clientCA) VerifyOptions() (x509.VerifyOptions, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file != "" {
		err := c.refresh()
		if err != nil && !c.stale {
			c.log.Warn("using the last good certificate authority of clients", zap.Error(err))
		}
		c.stale = err != nil
	}
	return c.options, true
}

// CurrentCABundleContent returns the authority's PEM certificates.
func (c *clientCA) CurrentCABundleContent() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pem
}

// Name says where the authority comes from, for messages.
func (c *clientCA) Name() string {
	if c.file == "" {
		return "client-ca"
	}
	return c.file
}

// AddListener does nothing: every use is of the current authority.
func (c *clientCA) AddListener(dynamiccertificates.Listener) {}
