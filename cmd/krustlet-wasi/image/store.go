package image

import (
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
)

// StoreConfig is the configuration of the node's store of images, for the agent and for
// `krustlet-wasi image`.
func StoreConfig(cfg config.Config, version string, log *zap.Logger) registry.Config {
	return registry.Config{
		Dir:                filepath.Join(cfg.DataDir, "modules"),
		RightsDir:          filepath.Join(cfg.DataDir, "config", "image-rights"), // workers cannot see it there
		Verify:             cfg.ImageVerification,
		Allowed:            cfg.ImagesNotVerified,
		InsecureRegistries: cfg.InsecureRegistries,
		Authorities:        cfg.RegistryCAs,
		HostsDir:           cfg.RegistryConfigDir,
		AllowLocalModules:  cfg.AllowLocalModules,
		MaxModuleSize:      cfg.MaxModuleSize,
		MaxParallelPulls:   cfg.MaxParallelImagePulls,
		UserAgent:          "krustlet-wasi/" + version,
		Log:                log.Named("registry"),
	}
}

func OpenStore(cfg config.Config, version string, log *zap.Logger) (*registry.Store, error) {
	return registry.New(StoreConfig(cfg, version, log))
}

// NewCredentials finds the node's credentials for images. If accounts is nil, it uses no service
// accounts.
func NewCredentials(cfg config.Config, env cmdline.Environment, accounts credentials.ServiceAccounts, log *zap.Logger) (*credentials.Source, error) {
	return credentials.NewSource(credentials.SourceConfig{
		DockerConfigs: credentials.DockerConfigs(cfg.DockerConfig(), env),
		Keychain:      authn.DefaultKeychain,
		PluginConfig:  cfg.CredentialProviderConfig,
		PluginDir:     cfg.CredentialProviderDir,
		Accounts:      accounts,
		Log:           log.Named("credentials"),
	})
}
