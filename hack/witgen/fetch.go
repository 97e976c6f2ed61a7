package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// The package of npm that carries the WIT, and the digest of its archive.
const (
	npmPackage = "@bytecodealliance/jco@1.35.0"
	integrity  = "sha512-O53cWIMm/M1SpwLxKRicvAMDnzWf4zWs6I6qFZIGbn3HUovDMCCe9blkGxxYuyocHjVf/cXgNmlMu/x7Tyi77A=="
	witFolder  = "package/lib/wit/builtin"
)

const (
	fetchTime  = 5 * time.Minute
	maxArchive = 64 << 20 // bytes, packed; the package has 0.5 MiB
	maxWIT     = 4 << 20  // bytes of a file
)

// fetch has npm download the package, and puts its WIT into a folder.
func fetch(ctx context.Context, folder string) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "pack", "--loglevel=error", "--ignore-scripts", npmPackage)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running npm pack: %w: %s", err, bytes.TrimSpace(out))
	}
	archives, err := filepath.Glob(filepath.Join(folder, "*.tgz"))
	if err != nil || len(archives) != 1 {
		return fmt.Errorf("npm pack left %d archives", len(archives))
	}
	info, err := os.Stat(archives[0])
	if err != nil {
		return err
	}
	if info.Size() > maxArchive {
		return fmt.Errorf("the archive has more than %d bytes", maxArchive)
	}
	data, err := os.ReadFile(archives[0])
	if err != nil {
		return err
	}
	sum := sha512.Sum512(data)
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); got != integrity {
		return fmt.Errorf("the archive has the digest %s, and has to have %s", got, integrity)
	}
	return unpack(data, folder)
}

// unpack writes the WIT that an archive has.
func unpack(data []byte, folder string) error {
	packed, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("unpacking the archive: %w", err)
	}
	for t := tar.NewReader(packed); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpacking the archive: %w", err)
		}
		name := path.Clean(h.Name)
		if h.Typeflag != tar.TypeReg || !strings.HasPrefix(name, witFolder+"/") || path.Ext(name) != ".wit" {
			continue
		}
		if h.Size > maxWIT {
			return fmt.Errorf("unpacking %s: it has more than %d bytes", name, maxWIT)
		}
		text, err := io.ReadAll(io.LimitReader(t, maxWIT))
		if err != nil {
			return fmt.Errorf("unpacking %s: %w", name, err)
		}
		to := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, text, 0o644); err != nil {
			return err
		}
	}
}
