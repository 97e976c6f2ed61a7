package config

import (
	"os"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
)

// WarnOfModes warns about files with secrets that every user of the machine may read, and about
// files that a group may write.
func WarnOfModes(cfg Config, env cmdline.Environment, log *zap.Logger) {
	secrets := append([]string{cfg.Kubeconfig, cfg.BootstrapFile, cfg.PrivateKeyFile},
		credentials.DockerConfigs(cfg.DockerConfig(), env)...)
	for _, path := range secrets {
		info, err := os.Stat(path)
		if err != nil {
			continue // the file does not exist, or its reader reports why it is unreadable
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
