package config

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// parsePath makes a path absolute.
func parsePath(value string) (string, error) {
	switch {
	case value == "":
		return "", errors.New("the path is empty; name a file or directory, or leave the setting out")
	case value == "~" || strings.HasPrefix(value, "~/"):
		return "", fmt.Errorf("%q begins with ~, which is not expanded here; write the whole path", value)
	case strings.ContainsRune(value, 0):
		return "", fmt.Errorf("%q has a zero byte in it", value)
	}
	path, err := filepath.Abs(value)
	if err != nil {
		return "", fmt.Errorf("making %q absolute: %w", value, err)
	}
	return path, nil
}

// parseKubeconfig refuses lists of files, which kubectl accepts. The node writes its kubeconfig, so
// it must be one file.
func parseKubeconfig(value string) (string, error) {
	if strings.ContainsRune(value, os.PathListSeparator) {
		return "", fmt.Errorf("%q is a list of files; name the one file that is the node's own kubeconfig", value)
	}
	return parsePath(value)
}

// sameFile reports whether two absolute paths lead to the same file, by name or through links. The
// file need not exist: users often delete a bootstrap file after the node has joined, but leave its
// name in KUBECONFIG.
func sameFile(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	if errA == nil && errB == nil {
		return os.SameFile(infoA, infoB)
	}
	return withoutLinks(a) == withoutLinks(b)
}

// withoutLinks resolves the links of a path's directory.
func withoutLinks(path string) string {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return path
	}
	return filepath.Join(dir, filepath.Base(path))
}

// checkFiles checks that the agent can read the files that it needs.
func (l *loader) checkFiles() {
	c := &l.cfg
	if info, err := os.Stat(c.DataDir); err == nil && !info.IsDir() {
		// Every file in it would fail for the same reason.
		l.problem("%s: %s is not a directory", l.from("data-dir"), c.DataDir)
		return
	}
	for _, f := range []struct{ setting, path string }{
		{"KUBECONFIG", c.Kubeconfig},
		{"cert-file", c.CertFile},
		{"private-key-file", c.PrivateKeyFile},
	} {
		// These files may not exist yet, because the agent itself writes them.
		if err := believable(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.problem("%s: %w", l.fromFile(f.setting), err)
		}
	}
	if l.given("client-ca-file") {
		if err := checkAuthorities(c.ClientCAFile); err != nil {
			l.problem("%s: %w", l.from("client-ca-file"), err)
		}
	}
	l.checkLogDir("pod-logs-dir", c.PodLogsDir)
	if l.given("container-logs-dir") {
		l.checkLogDir("container-logs-dir", c.ContainerLogsDir)
	}
	l.checkBootstrapFile()
}

// checkLogDir refuses a folder for logs in which the node removes unknown files.
func (l *loader) checkLogDir(setting, dir string) {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		l.problem("%s: %s is not a directory", l.fromFile(setting), dir)
		return
	}
	for _, name := range []string{"config", "modules", "pods", "workers"} {
		own := filepath.Join(l.cfg.DataDir, name)
		if dir == own || strings.HasPrefix(dir, own+string(filepath.Separator)) {
			l.problem("%s: %s belongs to the node itself, which keeps other things in %s; choose another directory", l.fromFile(setting), dir, own)
		}
	}
}

// checkBootstrapFile requires the file if the node has no other way to join the cluster.
func (l *loader) checkBootstrapFile() {
	c := &l.cfg
	if _, err := os.Stat(c.Kubeconfig); err == nil {
		return
	}
	err := believable(c.BootstrapFile)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		l.problem("%s: bootstrap file %s does not exist, and the node has no kubeconfig at %s yet; make one with hack/bootstrap.sh and name it with --bootstrap-file",
			l.from("bootstrap-file"), c.BootstrapFile, c.Kubeconfig)
	default:
		l.problem("%s: %w", l.from("bootstrap-file"), err)
	}
}

// fromFile is like from, for files whose default path depends on the data directory.
func (l *loader) fromFile(name string) string {
	if l.given(name) {
		return l.from(name)
	}
	return "data directory " + l.cfg.DataDir
}

// believable says why a file is unreadable or untrusted. The reason may be fs.ErrNotExist.
func believable(path string) error {
	if err := Readable(path); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return FileError(path, err)
	}
	return writableByAll(path, info)
}

// Readable says why a file is unreadable. The reason may be fs.ErrNotExist.
func Readable(path string) error {
	// Opening a named pipe would wait for its writer.
	info, err := os.Stat(path)
	if err != nil {
		return FileError(path, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return FileError(path, err)
	}
	return f.Close()
}

// FileError gives an error of os the form of the other messages: the path once, then the reason.
func FileError(path string, err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return fmt.Errorf("reading %s: %w", path, err)
}

// checkAuthorities checks that a file contains certificates, and that each can be parsed.
func checkAuthorities(path string) error {
	if err := believable(path); err != nil {
		return err
	}
	rest, err := os.ReadFile(path)
	if err != nil {
		return FileError(path, err)
	}
	count := 0
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("reading %s: parsing certificate %d: %w", path, count+1, err)
		}
		count++
	}
	if count == 0 {
		return fmt.Errorf("%s holds no PEM certificate", path)
	}
	return nil
}

// writableByAll refuses a file that every user of the machine may write, because the file decides
// which clients and servers the node trusts. A file that a group may write is allowed: the owner
// may be the only member of the group.
func writableByAll(path string, info fs.FileInfo) error {
	if info.Mode().Perm()&0o002 == 0 {
		return nil
	}
	return fmt.Errorf("%s may be written by every user of this machine (mode %04o): see that it is as you made it, then run chmod go-w %s",
		path, info.Mode().Perm(), path)
}
