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

// clientCA is the authority that signs client certificates. Each use checks the file with one
// stat(2), and reads it again if it has changed. So a new authority counts immediately, and no
// goroutine has to watch the file. It is a dynamiccertificates.CAContentProvider.
type clientCA struct {
	file string // empty: the authority never changes
	log  *zap.Logger

	mu      sync.Mutex
	stale   bool        // the file could not be read, and that is logged already
	seen    os.FileInfo // the file from which pem was read
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

// refresh reads the file if it has changed since the last time. The caller holds mu.
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

// VerifyOptions returns the options to verify a client certificate now. If the file cannot be read,
// or is being written, the last valid authority stays.
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

// Name returns where the authority comes from, for messages.
func (c *clientCA) Name() string {
	if c.file == "" {
		return "client-ca"
	}
	return c.file
}

// AddListener does nothing, because every use has the current authority.
func (c *clientCA) AddListener(dynamiccertificates.Listener) {}
