package credentials

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"go.uber.org/zap"
)

// SourceConfig says where the node's own credentials are. The zero value is a node without any.
type SourceConfig struct {
	// DockerConfigs are files in the form of docker's config.json. The first one that exists and
	// can be read is used. This is decided each time a credential is needed.
	DockerConfigs []string
	// Keychain is asked when the files have nothing for an image, because it knows docker's
	// credential helpers. It may be nil.
	Keychain authn.Keychain
	// PluginConfig is the file, or the folder of files, that names the credential provider plugins.
	// It is empty if there are none.
	PluginConfig string
	// PluginDir is the folder with the plugins' programs.
	PluginDir string
	// Accounts is for plugins that need a pod's service account. If it is nil, such plugins are
	// refused.
	Accounts ServiceAccounts
	// Log gets messages for the operator; nil logs nothing.
	Log *zap.Logger
}

// Source has the credentials of a node. It is safe for concurrent use.
type Source struct {
	files    []string
	keychain authn.Keychain
	plugins  []*plugin
	log      *zap.Logger
}

// NewSource reads the configuration of the plugins. Its error is for the operator.
func NewSource(cfg SourceConfig) (*Source, error) {
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	s := &Source{files: cfg.DockerConfigs, keychain: cfg.Keychain, log: cfg.Log}
	if cfg.PluginConfig == "" {
		return s, nil
	}
	var err error
	s.plugins, err = loadPlugins(cfg)
	return s, err
}

// For returns what a pod may use. A nil Source has only the pod's own Secrets.
func (s *Source) For(pod Pod) Keys {
	secrets, err := fromSecrets(pod.Secrets)
	return Keys{pod: pod, secrets: secrets, err: err, node: s}
}

// lookup finds the node's credentials for an image on behalf of a pod.
func (s *Source) lookup(ctx context.Context, pod Pod, image string) []Credential {
	keys, err := s.dockerConfig()
	if err != nil {
		s.log.Warn("the node's docker config cannot be read", zap.Error(err))
	}
	found := keys.Lookup(image)
	// Docker's own search would trust the file that was refused here, and run the programs that it
	// names.
	if found == nil && !errors.Is(err, ErrWritable) {
		found = s.fromKeychain(ctx, image)
	}
	for _, p := range s.plugins {
		from, err := p.provide(ctx, pod, image)
		if err != nil {
			s.log.Warn("a credential provider plugin failed", zap.String("plugin", p.name), zap.String("image", image), zap.Error(err))
			continue
		}
		found = append(found, from.Lookup(image)...)
	}
	return found
}

// maxDockerConfig is the largest docker config that is read, in bytes.
const maxDockerConfig = 10 << 20

// dockerConfig reads the first of the files that exists.
func (s *Source) dockerConfig() (Keyring, error) {
	var keys Keyring
	var errs []error
	for _, file := range s.files {
		auths, err := readDockerConfig(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		keys.add(auths, Owner{})
		break
	}
	return keys, errors.Join(errs...)
}

func readDockerConfig(file string) (map[string]Credential, error) {
	data, err := ReadFile(file, maxDockerConfig)
	if err != nil {
		return nil, err
	}
	auths, err := parseDockerConfig(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return auths, nil
}

func (s *Source) fromKeychain(ctx context.Context, image string) []Credential {
	if s.keychain == nil {
		return nil
	}
	repo, err := name.NewRepository(image)
	if err != nil {
		return nil
	}
	auth, err := authn.Resolve(ctx, s.keychain, repo)
	var config *authn.AuthConfig
	if err == nil && auth != authn.Anonymous {
		config, err = authn.Authorization(ctx, auth)
	}
	if err != nil {
		s.log.Warn("docker's credential helper failed", zap.String("image", image), zap.Error(err))
		return nil
	}
	if config == nil {
		return nil
	}
	return []Credential{{
		Username: config.Username, Password: config.Password,
		IdentityToken: config.IdentityToken, RegistryToken: config.RegistryToken,
	}}
}

// Files are all files that may hold the node's credentials for registries: its docker configs, and
// the other files that docker's own search reads.
func Files(own string, env func(string) (string, bool)) []string {
	files := DockerConfigs(own, env)
	if file, _ := env("REGISTRY_AUTH_FILE"); file != "" {
		files = append(files, file)
	}
	home, _ := env("HOME")
	if home != "" {
		home = filepath.Join(home, ".config")
	}
	runtime, _ := env("XDG_RUNTIME_DIR")
	config, _ := env("XDG_CONFIG_HOME")
	for _, dir := range []string{runtime, config, home} {
		if dir != "" {
			files = append(files, filepath.Join(dir, "containers", "auth.json"))
		}
	}
	return files
}

// DockerConfigs are the possible paths of the node's docker config, in the order of search: own,
// which may be empty; then the folder that DOCKER_CONFIG names; then the home directory.
func DockerConfigs(own string, env func(string) (string, bool)) []string {
	var files []string
	if own != "" {
		files = append(files, own)
	}
	if dir, _ := env("DOCKER_CONFIG"); dir != "" {
		files = append(files, filepath.Join(dir, "config.json"))
	}
	if home, _ := env("HOME"); home != "" {
		files = append(files, filepath.Join(home, ".docker", "config.json"))
	}
	return append(files, "/.docker/config.json")
}
