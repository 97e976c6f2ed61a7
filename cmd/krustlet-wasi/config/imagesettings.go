package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/krustlet-go/krustlet-wasi/registry"
)

// Names of flags that other packages use too.
const (
	FlagModuleSize = "max-module-size"
	// FlagLocalModules is the only flag that needs no value but may have one after a space.
	FlagLocalModules = "x-allow-local-modules"
)

const flagAllowlist = "preloaded-images-verification-allowlist"

// Defaults of settings of images. All except the first are the kubelet's.
const (
	defaultParallelPulls   = 10
	defaultGCHighThreshold = 85
	defaultGCLowThreshold  = 80
	defaultMinImageAge     = 2 * time.Minute
)

// imageSettings are about registries, their credentials, and the images that the node keeps.
func imageSettings() []setting {
	return append(registrySettings(), keepingSettings()...)
}

func registrySettings() []setting {
	return []setting{{
		flag: "insecure-registries", env: "KRUSTLET_INSECURE_REGISTRIES", key: "insecureRegistries", group: groupImages, arg: "HOST[:PORT],...", kind: list,
		usage: "registries to speak plain HTTP to; localhost is always one",
		def:   "none",
		shown: ours(func(c Config) any { return listed(c.InsecureRegistries) }),
		apply: func(c *Config, g given) (err error) { c.InsecureRegistries, err = ParseRegistries(g.items); return err },
	}, {
		flag: "registry-ca", env: "KRUSTLET_REGISTRY_CA", key: "registryCA", group: groupImages, arg: "FILE,...", kind: list,
		usage: "certificate authorities (PEM) to trust registries by, besides the system's",
		def:   "none",
		shown: ours(func(c Config) any { return listed(c.RegistryCAs) }),
		apply: func(c *Config, g given) (err error) { c.RegistryCAs, err = parsePaths(g.items); return err },
	}, {
		flag: "registry-config-dir", env: "KRUSTLET_REGISTRY_CONFIG_DIR", key: "registryConfigDir", group: groupImages, arg: "DIR",
		usage: "directory of HOST/hosts.toml files, as containerd's: mirrors, authorities, client certificates",
		def:   "none",
		shown: ours(func(c Config) any { return c.RegistryConfigDir }),
		apply: func(c *Config, g given) (err error) { c.RegistryConfigDir, err = parsePath(g.text); return err },
	}, {
		flag: "image-credential-provider-config", env: "KRUSTLET_IMAGE_CREDENTIAL_PROVIDER_CONFIG", key: "imageCredentialProviderConfig", group: groupImages, arg: "PATH",
		usage: "file, or directory of files, that configures credential provider plugins, as the kubelet's",
		def:   "none",
		shown: ours(func(c Config) any { return c.CredentialProviderConfig }),
		apply: func(c *Config, g given) (err error) { c.CredentialProviderConfig, err = parsePath(g.text); return err },
	}, {
		flag: "image-credential-provider-bin-dir", env: "KRUSTLET_IMAGE_CREDENTIAL_PROVIDER_BIN_DIR", key: "imageCredentialProviderBinDir", group: groupImages, arg: "DIR",
		usage: "directory of the plugins' programs",
		def:   "none",
		shown: ours(func(c Config) any { return c.CredentialProviderDir }),
		apply: func(c *Config, g given) (err error) { c.CredentialProviderDir, err = parsePath(g.text); return err },
	}, {
		flag: "image-pull-credentials-verification-policy", env: "KRUSTLET_IMAGE_PULL_CREDENTIALS_VERIFICATION_POLICY", key: "imagePullCredentialsVerificationPolicy",
		group: groupImages, arg: "POLICY",
		usage: "whether pods need credentials for images that are on the node, as the kubelet's: NeverVerify, NeverVerifyPreloadedImages, NeverVerifyAllowlistedImages or AlwaysVerify",
		def:   string(registry.NeverVerifyPreloadedImages),
		shown: kubelet("imagePullCredentialsVerificationPolicy", func(c Config) any { return c.ImageVerification }),
		apply: func(c *Config, g given) (err error) { c.ImageVerification, err = parseVerification(g.text); return err },
	}, {
		flag: flagAllowlist, env: "KRUSTLET_PRELOADED_IMAGES_VERIFICATION_ALLOWLIST", key: "preloadedImagesVerificationAllowlist",
		group: groupImages, arg: "IMAGE,...", kind: list,
		usage: "images that NeverVerifyAllowlistedImages lets every pod have, without tags; /* at the end stands for all that begin so",
		def:   "none",
		shown: kubelet("preloadedImagesVerificationAllowlist", func(c Config) any { return orAbsent(c.ImagesNotVerified) }),
		apply: func(c *Config, g given) (err error) { c.ImagesNotVerified, err = parseAllowlist(g.items); return err },
	}, moduleSizeSetting(), {
		flag: FlagLocalModules, env: "KRUSTLET_ALLOW_LOCAL_MODULES", key: "allowLocalModules", group: groupImages, arg: "true|false", kind: boolean,
		usage: "let pods run modules from the host's files by the image name fs/PATH (experimental)",
		def:   "false",
		shown: ours(func(c Config) any { return c.AllowLocalModules }),
		apply: func(c *Config, g given) (err error) { c.AllowLocalModules, err = ParseBool(g.text); return err },
	}}
}

// moduleSizeSetting limits modules from a registry, from an image's files and from the host's
// files. It also limits the compilation of modules.
func moduleSizeSetting() setting {
	return setting{
		flag: FlagModuleSize, env: "KRUSTLET_MAX_MODULE_SIZE", key: "maxModuleSize", group: groupImages, arg: "BYTES",
		usage: "size of the largest module that is pulled and run: 64Mi, up to 1Gi",
		def:   "256Mi",
		shown: ours(func(c Config) any { return c.MaxModuleSize }),
		apply: func(c *Config, g given) (err error) { c.MaxModuleSize, err = ParseModuleSize(g.text); return err },
	}
}

// LargestModule is the size of the largest module that the engine can read, in bytes.
const LargestModule = 1 << 30

// ParseModuleSize reads the size of the largest module.
func ParseModuleSize(value string) (int64, error) {
	n, err := ParseBytes(value, "bytes of a module", "64Mi")
	if err == nil && n > LargestModule {
		return 0, fmt.Errorf("%q is more than the engine can take: write 1Gi or less", value)
	}
	return n, err
}

func keepingSettings() []setting {
	return []setting{{
		flag: "max-parallel-image-pulls", env: "KRUSTLET_MAX_PARALLEL_IMAGE_PULLS", key: "maxParallelImagePulls", group: groupImages, arg: "N", kind: number,
		usage: "images that are pulled at a time, 1 to 65535",
		def:   "10",
		shown: slices.Concat(kubelet("maxParallelImagePulls", func(c Config) any { return c.MaxParallelImagePulls }),
			kubelet("serializeImagePulls", func(c Config) any { return c.MaxParallelImagePulls == 1 })),
		apply: func(c *Config, g given) (err error) {
			c.MaxParallelImagePulls, err = parseNumber(g.text, "a number of pulls")
			return err
		},
	}, {
		flag: "image-gc-high-threshold", env: "KRUSTLET_IMAGE_GC_HIGH_THRESHOLD", key: "imageGCHighThresholdPercent", group: groupImages, arg: "PERCENT", kind: number,
		usage: "how full the disk may be before unused images are removed; 100 is never",
		def:   "85",
		shown: kubelet("imageGCHighThresholdPercent", func(c Config) any { return c.ImageGCHighThreshold }),
		apply: func(c *Config, g given) (err error) { c.ImageGCHighThreshold, err = parsePercent(g.text); return err },
	}, {
		flag: "image-gc-low-threshold", env: "KRUSTLET_IMAGE_GC_LOW_THRESHOLD", key: "imageGCLowThresholdPercent", group: groupImages, arg: "PERCENT", kind: number,
		usage: "how full the disk may be when that ends",
		def:   "80",
		shown: kubelet("imageGCLowThresholdPercent", func(c Config) any { return c.ImageGCLowThreshold }),
		apply: func(c *Config, g given) (err error) { c.ImageGCLowThreshold, err = parsePercent(g.text); return err },
	}, {
		flag: "minimum-image-ttl-duration", env: "KRUSTLET_MINIMUM_IMAGE_TTL_DURATION", key: "imageMinimumGCAge", group: groupImages, arg: "DURATION",
		usage: "how long an image is kept after its pull, whether it is used or not",
		def:   "2m",
		shown: kubelet("imageMinimumGCAge", func(c Config) any { return c.ImageMinimumAge.String() }),
		apply: func(c *Config, g given) (err error) { c.ImageMinimumAge, err = ParseDuration(g.text); return err },
	}, {
		flag: "image-maximum-gc-age", env: "KRUSTLET_IMAGE_MAXIMUM_GC_AGE", key: "imageMaximumGCAge", group: groupImages, arg: "DURATION",
		usage: "how long an unused image is kept, however much room there is; 0 is for ever",
		def:   "0s",
		shown: kubelet("imageMaximumGCAge", func(c Config) any { return c.ImageMaximumAge.String() }),
		apply: func(c *Config, g given) (err error) { c.ImageMaximumAge, err = ParseDuration(g.text); return err },
	}}
}

func parsePercent(value string) (int, error) {
	n, err := strconv.ParseUint(value, 10, 8)
	if err != nil || n > 100 {
		return 0, fmt.Errorf("%q is not a percentage: write a whole number from 0 to 100", value)
	}
	return int(n), nil
}

func parseVerification(value string) (registry.Verification, error) {
	if v := registry.Verification(value); slices.Contains(registry.Verifications, v) {
		return v, nil
	}
	return "", fmt.Errorf("%q is none of %s, %s, %s and %s", value, registry.NeverVerify, registry.NeverVerifyPreloadedImages,
		registry.NeverVerifyAllowlistedImages, registry.AlwaysVerify)
}

func parseAllowlist(items []string) ([]string, error) {
	var errs []error
	for _, item := range items {
		if err := registry.CheckAllowed(item); err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", item, err))
		}
	}
	return items, errors.Join(errs...)
}

func parsePaths(items []string) ([]string, error) {
	paths := []string{}
	var errs []error
	for _, item := range items {
		path, err := parsePath(item)
		paths, errs = append(paths, path), append(errs, err)
	}
	return paths, errors.Join(errs...)
}

// checkImages checks that settings of images agree with each other. It also checks the files that
// they name.
func (l *loader) checkImages() {
	c := &l.cfg
	for _, file := range c.RegistryCAs {
		if err := checkAuthorities(file); err != nil {
			l.problem("%s: %w", l.from("registry-ca"), err)
		}
	}
	if len(c.ImagesNotVerified) > 0 && c.ImageVerification != registry.NeverVerifyAllowlistedImages {
		l.problem("%s: it is for %s only, and the policy is %s", l.from(flagAllowlist), registry.NeverVerifyAllowlistedImages, c.ImageVerification)
	}
	if c.ImageGCLowThreshold >= c.ImageGCHighThreshold {
		l.problem("%s: %d is not below %d, the value of the %s", l.from("image-gc-low-threshold"), c.ImageGCLowThreshold,
			c.ImageGCHighThreshold, l.from("image-gc-high-threshold"))
	}
	if c.ImageMaximumAge > 0 && c.ImageMaximumAge <= c.ImageMinimumAge {
		l.problem("%s: %v is not above %v, the value of the %s", l.from("image-maximum-gc-age"), c.ImageMaximumAge,
			c.ImageMinimumAge, l.from("minimum-image-ttl-duration"))
	}
	if (c.CredentialProviderConfig == "") != (c.CredentialProviderDir == "") {
		l.problem("credential provider plugins need both --image-credential-provider-config and --image-credential-provider-bin-dir")
	}
}
