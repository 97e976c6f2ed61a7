package main

import (
	"fmt"
	"io/fs"
	"os"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
)

// writableByAll refuses a file that every user of the machine may write: it decides whom the node trusts. Files that a group
// may write are let through, as the group may have the owner alone.
func writableByAll(path string, info fs.FileInfo) error {
	if info.Mode().Perm()&0o002 == 0 {
		return nil
	}
	return fmt.Errorf("%s may be written by every user of this machine (mode %04o): see that it is as you made it, then run chmod go-w %s",
		path, info.Mode().Perm(), path)
}

// warnOfModes names files with secrets that every user of the machine may read, and those that a group may write.
func warnOfModes(cfg Config, env environment, log *zap.Logger) {
	secrets := append([]string{cfg.Kubeconfig, cfg.BootstrapFile, cfg.PrivateKeyFile},
		credentials.DockerConfigs(ownDockerConfig(cfg), env)...)
	for _, path := range secrets {
		info, err := os.Stat(path)
		if err != nil {
			continue // not there, or who reads it says why not
		}
		switch mode := info.Mode().Perm(); {
		case mode&0o004 != 0:
			log.Warn("a file with secrets may be read by every user of this machine; run chmod 600 on it",
				zap.String("file", path), zap.Stringer("mode", info.Mode()))
		case mode&0o020 != 0:
			log.Warn("a file that this node trusts may be written by a group; run chmod g-w on it",
				zap.String("file", path), zap.Stringer("mode", info.Mode()))
		}
	}
}
