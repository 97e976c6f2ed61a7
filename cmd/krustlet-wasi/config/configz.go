package config

import (
	"crypto/tls"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/logging"
)

// configurationOf is what /configz shows: the settings that are in effect, under the names of the stock kubelet's file where
// that has them, and the others under those of ours. Files with secrets are named, and not shown.
func (cfg Config) Shown() any {
	ours := map[string]any{
		"nodeName":            cfg.NodeName,
		"hostname":            cfg.Hostname,
		"nodeIP":              cfg.NodeIP.String(),
		"nodeLabels":          cfg.NodeLabels,
		"dataDir":             cfg.DataDir,
		"bootstrapFile":       cfg.BootstrapFile,
		"pluginsDir":          cfg.PluginsDir,
		"devicePluginsDir":    cfg.DevicePluginsDir,
		"containerLogsDir":    cfg.ContainerLogsDir,
		"insecureRegistries":  cfg.InsecureRegistries,
		"allowLocalModules":   cfg.AllowLocalModules,
		"allowUnsafeEngine":   cfg.AllowUnsafeEngine,
		"workers":             cfg.Workers,
		"containerOutputRate": cfg.ContainerOutputRate,
		"logLevel":            cfg.LogLevel.String(),
	}
	return map[string]any{"kubeletconfig": kubeletConfiguration(cfg), "krustlet-wasi": ours}
}

func kubeletConfiguration(cfg Config) map[string]any {
	kubelet := map[string]any{
		"kind":              "KubeletConfiguration",
		"apiVersion":        "kubelet.config.k8s.io/v1beta1",
		"registerNode":      true,
		"maxPods":           cfg.MaxPods,
		"evictionHard":      thresholds(cfg),
		"address":           cfg.Addr.String(),
		"port":              cfg.Port,
		"readOnlyPort":      0,
		"tlsCertFile":       cfg.CertFile,
		"tlsPrivateKeyFile": cfg.PrivateKeyFile,
		"tlsMinVersion":     tlsVersionName(cfg.API.TLSMinVersion),
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": cfg.API.Tokens, "cacheTTL": cfg.API.TokenTTL.String()},
			"x509":      map[string]any{"clientCAFile": cfg.ClientCAFile},
		},
		"authorization": map[string]any{
			"mode": "Webhook",
			"webhook": map[string]any{
				"cacheAuthorizedTTL":   cfg.API.AllowedTTL.String(),
				"cacheUnauthorizedTTL": cfg.API.DeniedTTL.String(),
			},
		},
		"evictionPressureTransitionPeriod": cfg.PressureTransition.String(),
		"streamingConnectionIdleTimeout":   cfg.StreamIdleTimeout.String(),
		"clusterDNS":                       texts(cfg.ClusterDNS),
		"clusterDomain":                    cfg.ClusterDomain,
		"resolvConf":                       cfg.ResolvConf,
		"podCIDR":                          strings.Join(texts(cfg.PodCIDRs), ","),
		"enableProfilingHandler":           cfg.API.Profiling,
		"enableDebugFlagsHandler":          cfg.API.DebugFlags,
		"podLogsDir":                       cfg.PodLogsDir,
		"containerLogMaxSize":              resource.NewQuantity(cfg.ContainerLogMaxSize, resource.BinarySI).String(),
		"containerLogMaxFiles":             cfg.ContainerLogMaxFiles,
		"logging":                          map[string]any{"format": kubeletLogFormat(cfg.LogFormat)},

		"imagePullCredentialsVerificationPolicy": cfg.ImageVerification,
	}
	if len(cfg.ImagesNotVerified) > 0 {
		kubelet["preloadedImagesVerificationAllowlist"] = cfg.ImagesNotVerified
	}
	if len(cfg.RegisterWithTaints) > 0 {
		kubelet["registerWithTaints"] = cfg.RegisterWithTaints
	}
	if suites := cfg.API.TLSCipherSuites; len(suites) > 0 {
		names := make([]string, len(suites))
		for i, suite := range suites {
			names[i] = tls.CipherSuiteName(suite)
		}
		kubelet["tlsCipherSuites"] = names
	}
	return kubelet
}

// thresholds are those of eviction, by signal.
func thresholds(cfg Config) map[string]string {
	values := map[string]string{}
	for _, t := range cfg.EvictionHard {
		values[string(t.Signal)] = t.Value()
	}
	return values
}

// texts writes each as text.
func texts[T fmt.Stringer](all []T) []string {
	out := make([]string, len(all))
	for i, one := range all {
		out[i] = one.String()
	}
	return out
}

// kubeletLogFormat is what the stock kubelet calls a format of the log.
func kubeletLogFormat(format string) string {
	if format == logging.Console {
		return "text"
	}
	return format
}
