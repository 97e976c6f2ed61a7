package httpserver

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// age is how long a certificate is used until its files are looked at.
	age = 2 * time.Second
	// maxPEM bounds a file of a certificate.
	maxPEM = 1 << 20
)

// pair is a certificate with its key, from files that may change.
type pair struct {
	folder string
	says   *says
	use    atomic.Pointer[tls.Certificate]
	looked atomic.Int64 // when the files were looked at, in nanoseconds

	mu    sync.Mutex // guards the fields below
	stamp stamp      // of the files that were read, even if they are bad
}

// stamp tells versions of the files apart. Kubernetes swaps a link when a Secret changes, so a new
// version has new inodes.
type stamp [2]struct {
	device, inode uint64
	size, time    int64
}

// readPair reads a certificate for the first time.
func readPair(folder string, says *says) (*pair, error) {
	p := &pair{folder: folder, says: says}
	if err := p.read(); err != nil {
		return nil, err
	}
	p.looked.Store(time.Now().UnixNano())
	return p, nil
}

// get is the certificate for a handshake.
func (p *pair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if now := time.Now().UnixNano(); now-p.looked.Load() > int64(age) && p.mu.TryLock() {
		p.looked.Store(now)
		p.refresh()
		p.mu.Unlock()
	}
	return p.use.Load(), nil
}

// refresh reads the files if they have changed. The old certificate stays if the new one is bad.
func (p *pair) refresh() {
	now, err := p.look()
	if err == nil && now == p.stamp {
		return
	}
	if err == nil {
		err = p.read()
	}
	if err == nil {
		return
	}
	if p.stamp != now { // it was not said yet, or the files change at the moment
		p.stamp = now
		p.says.line("the certificate has changed and cannot be used, so the old one stays: " + err.Error())
	}
}

// read reads the files. If they are swapped meanwhile, they do not belong together, which is seen
// here, and they are read again at a later look.
func (p *pair) read() error {
	before, err := p.look()
	if err != nil {
		return fmt.Errorf("reading the certificate: %w", err)
	}
	cert, err := readFile(filepath.Join(p.folder, "tls.crt"))
	if err != nil {
		return fmt.Errorf("reading the certificate: %w", err)
	}
	key, err := readFile(filepath.Join(p.folder, "tls.key"))
	if err != nil {
		return fmt.Errorf("reading the key of the certificate: %w", err)
	}
	both, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("reading the certificate and its key in %s: %w", p.folder, err)
	}
	p.use.Store(&both)
	p.stamp = before
	return nil
}

func (p *pair) look() (s stamp, err error) {
	for i, name := range []string{"tls.crt", "tls.key"} {
		info, err := os.Stat(filepath.Join(p.folder, name))
		if err != nil {
			return stamp{}, err
		}
		s[i].size, s[i].time = info.Size(), info.ModTime().UnixNano()
		if sys, ok := info.Sys().(*syscall.Stat_t); ok {
			s[i].device, s[i].inode = sys.Dev, sys.Ino
		}
	}
	return s, nil
}

// readFile reads a small file, which must be one: another kind could make a handshake wait.
func readFile(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxPEM {
		return nil, errors.New("the file is not a regular one of at most 1 MiB: " + path)
	}
	return io.ReadAll(io.LimitReader(file, maxPEM))
}
