package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/krustlet-go/krustlet-wasi/kubeletapi/access"
)

// API says which clients may use the kubelet API, and which optional parts it serves.
type API struct {
	Tokens     bool // bearer tokens that the API server knows are accepted
	TokenTTL   time.Duration
	AllowedTTL time.Duration
	DeniedTTL  time.Duration

	TLSMinVersion   uint16   // tls.VersionTLS12 or newer
	TLSCipherSuites []uint16 // of TLS 1.2; empty: the server chooses

	Profiling  bool
	DebugFlags bool
}

func defaultAPI() API {
	return API{
		Tokens:        true,
		TokenTTL:      access.DefaultTokenTTL,
		AllowedTTL:    access.DefaultAllowedTTL,
		DeniedTTL:     access.DefaultDeniedTTL,
		TLSMinVersion: tls.VersionTLS12,
	}
}

// accessSettings have the stock kubelet's flags. If the stock kubelet's file has a nested key, the
// key here is the flag's name.
func accessSettings() []setting {
	return []setting{{
		flag: "anonymous-auth", env: "KRUSTLET_ANONYMOUS_AUTH", key: "anonymousAuth", group: groupServer, arg: "false", kind: boolean,
		usage: "clients have to say who they are, so false is the only value",
		def:   "false",
		shown: kubelet("authentication.anonymous.enabled", func(Config) any { return false }),
		apply: func(_ *Config, g given) error { return refuseAnonymous(g.text) },
	}, {
		flag: "authentication-token-webhook", env: "KRUSTLET_AUTHENTICATION_TOKEN_WEBHOOK", key: "authenticationTokenWebhook", group: groupServer, arg: "true|false", kind: boolean,
		usage: "let clients in by bearer tokens, which the API server is asked about",
		def:   "true",
		shown: kubelet("authentication.webhook.enabled", func(c Config) any { return c.API.Tokens }),
		apply: func(c *Config, g given) (err error) { c.API.Tokens, err = ParseBool(g.text); return err },
	}, {
		flag: "authentication-token-webhook-cache-ttl", env: "KRUSTLET_AUTHENTICATION_TOKEN_WEBHOOK_CACHE_TTL", key: "authenticationTokenWebhookCacheTTL", group: groupServer, arg: "DURATION",
		usage: "how long the API server's answer about a token is believed; 0 asks each time",
		def:   "2m",
		shown: kubelet("authentication.webhook.cacheTTL", func(c Config) any { return c.API.TokenTTL.String() }),
		apply: func(c *Config, g given) (err error) { c.API.TokenTTL, err = ParseDuration(g.text); return err },
	}, {
		flag: "authorization-mode", env: "KRUSTLET_AUTHORIZATION_MODE", key: "authorizationMode", group: groupServer, arg: "Webhook",
		usage: "the API server decides what clients may do, so Webhook is the only value",
		def:   "Webhook",
		shown: kubelet("authorization.mode", func(Config) any { return "Webhook" }),
		apply: func(_ *Config, g given) error { return checkAuthorizationMode(g.text) },
	}, {
		flag: "authorization-webhook-cache-authorized-ttl", env: "KRUSTLET_AUTHORIZATION_WEBHOOK_CACHE_AUTHORIZED_TTL", key: "authorizationWebhookCacheAuthorizedTTL", group: groupServer, arg: "DURATION",
		usage: "how long a client may go on doing what it was allowed; 0 asks each time",
		def:   "5m",
		shown: kubelet("authorization.webhook.cacheAuthorizedTTL", func(c Config) any { return c.API.AllowedTTL.String() }),
		apply: func(c *Config, g given) (err error) { c.API.AllowedTTL, err = ParseDuration(g.text); return err },
	}, {
		flag: "authorization-webhook-cache-unauthorized-ttl", env: "KRUSTLET_AUTHORIZATION_WEBHOOK_CACHE_UNAUTHORIZED_TTL", key: "authorizationWebhookCacheUnauthorizedTTL", group: groupServer, arg: "DURATION",
		usage: "how long a client goes on being denied; 0 asks each time",
		def:   "30s",
		shown: kubelet("authorization.webhook.cacheUnauthorizedTTL", func(c Config) any { return c.API.DeniedTTL.String() }),
		apply: func(c *Config, g given) (err error) { c.API.DeniedTTL, err = ParseDuration(g.text); return err },
	}, {
		flag: "tls-min-version", env: "KRUSTLET_TLS_MIN_VERSION", key: "tlsMinVersion", group: groupServer, arg: "VERSION",
		usage: "oldest version of TLS: VersionTLS12 or VersionTLS13",
		def:   "VersionTLS12",
		shown: kubelet("tlsMinVersion", func(c Config) any { return tlsVersionName(c.API.TLSMinVersion) }),
		apply: func(c *Config, g given) (err error) { c.API.TLSMinVersion, err = parseTLSVersion(g.text); return err },
	}, {
		flag: "tls-cipher-suites", env: "KRUSTLET_TLS_CIPHER_SUITES", key: "tlsCipherSuites", group: groupServer, arg: "SUITE,...", kind: list,
		usage: "cipher suites of TLS 1.2; those of 1.3 cannot be chosen",
		def:   "those with ECDHE and AES-GCM or ChaCha20-Poly1305",
		shown: kubelet("tlsCipherSuites", suitesOf),
		apply: func(c *Config, g given) (err error) { c.API.TLSCipherSuites, err = parseSuites(g.items); return err },
	}}
}

func debugSettings() []setting {
	return []setting{{
		flag: "enable-profiling-handler", env: "KRUSTLET_ENABLE_PROFILING_HANDLER", key: "enableProfilingHandler", group: groupServer, arg: "true|false", kind: boolean,
		usage: "serve Go's profiles of the agent at /debug/pprof/",
		def:   "false",
		shown: kubelet("enableProfilingHandler", func(c Config) any { return c.API.Profiling }),
		apply: func(c *Config, g given) (err error) { c.API.Profiling, err = ParseBool(g.text); return err },
	}, {
		flag: "enable-debug-flags-handler", env: "KRUSTLET_ENABLE_DEBUG_FLAGS_HANDLER", key: "enableDebugFlagsHandler", group: groupServer, arg: "true|false", kind: boolean,
		usage: "let clients set the log level at /debug/flags/v",
		def:   "false",
		shown: kubelet("enableDebugFlagsHandler", func(c Config) any { return c.API.DebugFlags }),
		apply: func(c *Config, g given) (err error) { c.API.DebugFlags, err = ParseBool(g.text); return err },
	}}
}

func refuseAnonymous(value string) error {
	anonymous, err := ParseBool(value)
	if err == nil && anonymous {
		return errors.New("krustlet-wasi serves only clients that it knows: leave it out, and give clients a certificate or a token")
	}
	return err
}

func checkAuthorizationMode(value string) error {
	switch value {
	case "Webhook":
		return nil
	case "AlwaysAllow":
		return errors.New("AlwaysAllow would let every certificate and token of the cluster run programs in every pod: leave it out, and bind roles for nodes/log, nodes/metrics and the like")
	}
	return fmt.Errorf("%q is not an authorization mode: write Webhook", value)
}

func parseTLSVersion(value string) (uint16, error) {
	switch value {
	case "VersionTLS12":
		return tls.VersionTLS12, nil
	case "VersionTLS13":
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf("%q is not a version of TLS to begin with: write VersionTLS12 or VersionTLS13", value)
}

func tlsVersionName(version uint16) string {
	if version == tls.VersionTLS13 {
		return "VersionTLS13"
	}
	return "VersionTLS12"
}

// http2Suites are the suites for HTTP/2, which needs one of them.
var http2Suites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}

func parseSuites(names []string) ([]uint16, error) {
	var suites []uint16
	var errs []error
	for _, name := range names {
		i := slices.IndexFunc(tls.CipherSuites(), func(s *tls.CipherSuite) bool { return s.Name == name })
		switch {
		case i < 0:
			errs = append(errs, fmt.Errorf("%q is not a cipher suite that is safe to use: write some of %s", name, strings.Join(suiteNames(), ", ")))
		case !slices.Contains(tls.CipherSuites()[i].SupportedVersions, tls.VersionTLS12):
			errs = append(errs, fmt.Errorf("%q is of TLS 1.3, whose suites cannot be chosen: leave it out", name))
		default:
			suites = append(suites, tls.CipherSuites()[i].ID)
		}
	}
	if len(suites) > 0 && !slices.ContainsFunc(suites, func(s uint16) bool { return slices.Contains(http2Suites, s) }) {
		errs = append(errs, fmt.Errorf("none of the suites is one that HTTP/2 wants: add %s or %s", tls.CipherSuiteName(http2Suites[0]), tls.CipherSuiteName(http2Suites[1])))
	}
	return suites, errors.Join(errs...)
}

// suiteNames are the suites that a user can choose.
func suiteNames() []string {
	var names []string
	for _, s := range tls.CipherSuites() {
		if slices.Contains(s.SupportedVersions, tls.VersionTLS12) {
			names = append(names, s.Name)
		}
	}
	return names
}
