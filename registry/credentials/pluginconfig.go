package credentials

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	kubeletconfig "k8s.io/kubelet/config/v1"
	protocol "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
	"sigs.k8s.io/yaml"
)

// loadPlugins reads the configuration of the plugins, and checks that the programs exist.
func loadPlugins(cfg SourceConfig) ([]*plugin, error) {
	files, err := pluginFiles(cfg.PluginConfig)
	if err != nil {
		return nil, err
	}
	if cfg.PluginDir == "" {
		return nil, errors.New("credential provider plugins are configured, and no folder with their programs: set --image-credential-provider-bin-dir")
	}
	var plugins []*plugin
	var errs []error
	for _, file := range files {
		providers, err := readProviders(file)
		if err != nil {
			errs = append(errs, fmt.Errorf("reading the credential provider configuration %s: %w", file, err))
			continue
		}
		for _, p := range providers {
			if slices.ContainsFunc(plugins, func(q *plugin) bool { return q.name == p.Name }) {
				errs = append(errs, fmt.Errorf("credential provider configuration %s: the provider %q is there twice", file, p.Name))
			}
			if err := checkProvider(p, cfg.Accounts != nil); err != nil {
				errs = append(errs, fmt.Errorf("reading the credential provider configuration %s: provider %q: %w", file, p.Name, err))
				continue
			}
			program, err := exec.LookPath(filepath.Join(cfg.PluginDir, p.Name))
			if err == nil {
				err = ownProgram(program)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("reading the program of credential provider %q in --image-credential-provider-bin-dir: %w", p.Name, err))
				continue
			}
			plugins = append(plugins, newPlugin(p, program, cfg.Accounts))
		}
	}
	return plugins, errors.Join(errs...)
}

// ownProgram refuses a program that every user of the machine may write, because a plugin gets
// tokens and runs with the agent's rights.
func ownProgram(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o002 != 0 {
		err = fmt.Errorf("%s %w", path, ErrWritable)
	}
	return err
}

// pluginFiles are the files of the configuration: the named file, or the files in a folder sorted
// by name.
func pluginFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading the credential provider configuration: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path) // sorted
	if err != nil {
		return nil, fmt.Errorf("reading the credential provider configuration: %w", err)
	}
	var files []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".json" || ext == ".yaml" || ext == ".yml") {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("credential provider configuration: no .yaml or .json file in %s", path)
	}
	return files, nil
}

// maxPluginConfig bounds a file of the plugins' configuration, in bytes.
const maxPluginConfig = 1 << 20

func readProviders(file string) ([]kubeletconfig.CredentialProvider, error) {
	data, err := ReadFile(file, maxPluginConfig)
	if err != nil {
		return nil, err
	}
	var config kubeletconfig.CredentialProviderConfig
	if err := yaml.UnmarshalStrict(data, &config); err != nil {
		return nil, err
	}
	if config.Kind != "CredentialProviderConfig" || config.APIVersion != kubeletconfig.SchemeGroupVersion.String() {
		return nil, fmt.Errorf("it is a %q of %q; write kind: CredentialProviderConfig and apiVersion: %s",
			config.Kind, config.APIVersion, kubeletconfig.SchemeGroupVersion)
	}
	if len(config.Providers) == 0 {
		return nil, errors.New("it names no provider")
	}
	return config.Providers, nil
}

// checkProvider says what is wrong with a plugin's configuration.
func checkProvider(p kubeletconfig.CredentialProvider, accounts bool) error {
	switch {
	case p.Name == "" || p.Name == "." || p.Name == ".." || strings.ContainsAny(p.Name, "/ "):
		return errors.New("the name must be that of a program, without / and spaces")
	case p.APIVersion != protocol.SchemeGroupVersion.String():
		return fmt.Errorf("apiVersion is %q; write %s", p.APIVersion, protocol.SchemeGroupVersion)
	case len(p.MatchImages) == 0:
		return errors.New("matchImages is empty")
	case p.DefaultCacheDuration == nil || p.DefaultCacheDuration.Duration < 0:
		return errors.New("defaultCacheDuration must be given, and not be negative")
	}
	for _, m := range p.MatchImages {
		if _, err := url.Parse("https://" + m); err != nil {
			return fmt.Errorf("matchImages: %q is no host with or without a path", m)
		}
	}
	if p.TokenAttributes == nil {
		return nil
	}
	return checkToken(p.TokenAttributes, accounts)
}

func checkToken(t *kubeletconfig.ServiceAccountTokenAttributes, accounts bool) error {
	required, optional := t.RequiredServiceAccountAnnotationKeys, t.OptionalServiceAccountAnnotationKeys
	switch {
	case !accounts:
		return errors.New("tokenAttributes: there are no service accounts here")
	case t.ServiceAccountTokenAudience == "":
		return errors.New("tokenAttributes.serviceAccountTokenAudience is missing")
	case t.RequireServiceAccount == nil:
		return errors.New("tokenAttributes.requireServiceAccount is missing")
	case t.CacheType != kubeletconfig.TokenServiceAccountTokenCacheType && t.CacheType != kubeletconfig.ServiceAccountServiceAccountTokenCacheType:
		return fmt.Errorf("tokenAttributes.cacheType is %q; write Token or ServiceAccount", t.CacheType)
	case !*t.RequireServiceAccount && len(required) > 0:
		return errors.New("tokenAttributes.requiredServiceAccountAnnotationKeys needs requireServiceAccount: true")
	}
	for _, key := range required {
		if slices.Contains(optional, key) {
			return fmt.Errorf("tokenAttributes: the annotation %q cannot be both required and optional", key)
		}
	}
	return nil
}
