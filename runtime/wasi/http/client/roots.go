package client

import (
	"crypto/x509"
	"fmt"
	"io"
	"os"
)

// maxRoots is how many bytes the files of a guest's own authorities have together. The bundle of a
// Linux distribution has a fifth of it.
const maxRoots = 1 << 20

// roots are the authorities that a guest trusts: the node's, and those of the files. It returns nil
// without files, which means the node's.
func roots(files []string) (*x509.CertPool, error) {
	if len(files) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a machine without authorities
	}
	left := int64(maxRoots)
	for i, name := range files {
		pem, err := read(name, left)
		if err != nil {
			return nil, fmt.Errorf("reading file %d of the guest's certificate authorities: %w", i+1, err)
		}
		left -= int64(len(pem))
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("file %d of the guest's certificate authorities has no certificate in PEM", i+1)
		}
	}
	return pool, nil
}

// read reads a file of at most so many bytes.
func read(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("the files have more than %d bytes together", maxRoots)
	}
	return b, err
}
