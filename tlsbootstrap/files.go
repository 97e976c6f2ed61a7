package tlsbootstrap

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"k8s.io/client-go/util/keyutil"
)

// marker is the first line of the files that this package wrote and may replace. Readers of PEM and
// YAML skip it.
const marker = "# Written by krustlet-wasi, which replaces this file when it renews it. Without this line it will not.\n"

func marked(data []byte) bool { return bytes.HasPrefix(data, []byte(marker)) }

// cutMarker reports whether data can be one of our files after a crash of the machine: empty, all
// zeros, or only the beginning of the first line.
func cutMarker(data []byte) bool {
	return blank(data) || bytes.HasPrefix([]byte(marker), data)
}

func blank(data []byte) bool { return len(bytes.Trim(data, "\x00 \t\r\n")) == 0 }

// maxFile is the size, in bytes, of the largest file that is read. A kubeconfig with its
// certificates has a few thousand.
const maxFile = 1 << 20

// readFile reads a file that decides which servers the node trusts, or who the node is. The file
// must be regular, have at most maxFile bytes, and not be writable by every user. If the file is
// too large, the bytes that were read are returned with the error.
func readFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a named pipe must not block
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if data == nil {
		data = []byte{}
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", path, err)
	case len(data) > maxFile:
		return data, fmt.Errorf("%s is larger than %d bytes: is it the right file?", path, maxFile)
	case info.Mode().Perm()&0o002 != 0:
		// A user who can write the file can choose the API server, and so decide what the node
		// runs.
		return nil, fmt.Errorf("%s may be written by every user of this machine (mode %04o): see that it is as you made it, then run chmod go-w %s",
			path, info.Mode().Perm(), path)
	}
	return data, nil
}

// oneLine returns the text of an error in one line of bounded length.
func oneLine(err error) string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(err.Error(), "?")), " ")
	const most = 300
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// writeFile replaces the file at path as a whole, or not.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of %s: %w", path, err)
	}
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err == nil {
		err = rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", path, err), ignoreNotExist(os.Remove(tmp.Name())))
	}
	return nil
}

// rename moves a file within its folder and syncs that to disk.
func rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// pendingSuffix is the suffix of a key whose request is not answered yet.
const pendingSuffix = ".pending"

// pendingKey is a private key on disk whose certificate is not issued yet.
type pendingKey struct{ path string }

// load returns the key. If there is none, it makes and stores one.
func (p pendingKey) load() (crypto.Signer, error) {
	key, err := p.read()
	if key != nil || err != nil {
		return key, err
	}
	return p.replace()
}

// read returns nil if there is no key, or if the file has no usable key. A broken disk may leave
// such a file, and it can be replaced.
func (p pendingKey) read() (crypto.Signer, error) {
	data, err := readFile(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key of a pending request: %w", err)
	}
	parsed, err := keyutil.ParsePrivateKeyPEM(data)
	if err != nil {
		return nil, nil //nolint:nilerr // see above
	}
	key, _ := parsed.(crypto.Signer)
	return key, nil
}

// replace makes and stores a new key.
func (p pendingKey) replace() (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a private key: %w", err)
	}
	data, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a private key: %w", err)
	}
	return key, writeFile(p.path, data, 0o600)
}

// removeIf removes the pending key if public belongs to it: then its certificate is stored, and a
// crash prevented the removal.
func (p pendingKey) removeIf(public crypto.PublicKey) error {
	key, err := p.read()
	if err != nil || key == nil || !sameKey(key.Public(), public) {
		return err
	}
	return p.remove()
}

func (p pendingKey) remove() error {
	if err := ignoreNotExist(os.Remove(p.path)); err != nil {
		return fmt.Errorf("removing the key of a request that is done: %w", err)
	}
	return nil
}

func sameKey(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}
