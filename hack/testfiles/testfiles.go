// Package testfiles makes the files that tests need.
package testfiles

import (
	"os"
	"path/filepath"
	"testing"
)

// Write writes a file, and makes the folders above it. Only this user may write the file.
func Write(t testing.TB, path, content string) {
	t.Helper()
	makeFolders(t, path)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Symlink makes a symbolic link at path, and the folders above it.
func Symlink(t testing.TB, target, path string) {
	t.Helper()
	makeFolders(t, path)
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// Exists reports whether path is a file or folder.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func makeFolders(t testing.TB, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
}
