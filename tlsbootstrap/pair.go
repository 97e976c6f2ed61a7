package tlsbootstrap

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	certutil "k8s.io/client-go/util/cert"
)

// pair is the serving certificate and its key, as found on disk.
type pair struct {
	// cert is nil if there is no certificate, or no key for it.
	cert *tls.Certificate
	// replaceable: there is no certificate, or we wrote it.
	replaceable bool
}

// readPair reads the serving pair. If our certificate was stored and its key is still the pending
// one, it moves the key to its path.
func readPair(certFile, keyFile string, pending pendingKey) (pair, error) {
	certPEM, err := readFile(certFile)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(keyFile); err == nil {
			return pair{}, fmt.Errorf("the key %s is there without its certificate %s: add the certificate, or remove the key to request both", keyFile, certFile)
		}
		return pair{replaceable: true}, nil
	}
	if err != nil {
		return pair{}, fmt.Errorf("reading the serving certificate: %w", err)
	}
	ours := marked(certPEM)
	if ours {
		if err := completeKey(certPEM, keyFile, pending); err != nil {
			return pair{}, err
		}
	}
	keyPEM, err := readFile(keyFile)
	switch {
	case errors.Is(err, fs.ErrNotExist) && ours:
		return pair{replaceable: true}, nil
	case errors.Is(err, fs.ErrNotExist):
		return pair{}, fmt.Errorf("the serving certificate %s is there without its key %s: add the key, or remove the certificate to request both", certFile, keyFile)
	case err != nil:
		return pair{}, fmt.Errorf("reading the key of the serving certificate: %w", err)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return pair{}, fmt.Errorf("the serving certificate %s and the key %s cannot be used together, put it right or remove both: %w", certFile, keyFile, err)
	}
	return pair{cert: &cert, replaceable: ours}, nil
}

// completeKey does the second step of Serving.store if a crash prevented it.
func completeKey(certPEM []byte, keyFile string, pending pendingKey) error {
	certs, err := certutil.ParseCertsPEM(certPEM)
	if err != nil {
		return nil //nolint:nilerr // the caller says what is wrong with the certificate
	}
	key, err := pending.read()
	if err != nil || key == nil || !sameKey(key.Public(), certs[0].PublicKey) {
		return err
	}
	if err := rename(pending.path, keyFile); err != nil {
		return fmt.Errorf("storing the serving key: %w", err)
	}
	return nil
}

var (
	errExpired    = errors.New("it has expired")
	errOtherNames = errors.New("it is for other names")
)

// unfit returns why the pair does not fit cfg, or nil if it fits.
func (p pair) unfit(cfg Config) error {
	leaf := p.cert.Leaf
	if !time.Now().Before(leaf.NotAfter) {
		return fmt.Errorf("%w on %s", errExpired, leaf.NotAfter.Format(time.RFC3339))
	}
	dns, ips := cfg.servingNames()
	for _, name := range dns {
		if !slices.ContainsFunc(leaf.DNSNames, func(have string) bool { return strings.EqualFold(have, name) }) {
			return fmt.Errorf("%w: %s, not %s", errOtherNames, namesOf(leaf), name)
		}
	}
	for _, ip := range ips {
		if !slices.ContainsFunc(leaf.IPAddresses, ip.Equal) {
			return fmt.Errorf("%w: %s, not %s", errOtherNames, namesOf(leaf), ip)
		}
	}
	// If a person gave the certificate, that person chooses its common name.
	if p.replaceable && leaf.Subject.CommonName != cfg.commonName() {
		return fmt.Errorf("%w: %s, not %s", errOtherNames, leaf.Subject.CommonName, cfg.commonName())
	}
	return nil
}

func namesOf(cert *x509.Certificate) string {
	names := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		names = append(names, net.IP.String(ip))
	}
	return strings.Join(names, " ")
}
