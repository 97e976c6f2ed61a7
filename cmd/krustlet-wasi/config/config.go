// Package config is the agent's settings: the table of all settings, the Config that they make, and
// what /configz shows of it.
//
// table.go has the type of the table's rows. settings.go, apisettings.go, imagesettings.go and
// networksettings.go have the rows. A row defines the flag, the variable, the key of the
// configuration file, the lines of --help, and the value in /configz. Load finds the value of each
// setting (load.go, configfile.go) and checks it (values.go, labels.go, files.go).
package config

import (
	"net/netip"
	"path/filepath"
	"time"

	"go.uber.org/zap/zapcore"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/logging"
	"github.com/krustlet-go/krustlet-wasi/node"
	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

const (
	defaultBootstrapFile = "/etc/kubernetes/bootstrap-kubelet.conf"
	defaultPort          = 3000
	defaultMaxPods       = 110
	defaultWorkers       = 1
	defaultLogMaxSize    = 10 << 20 // the kubelet's value, as in the next line
	defaultLogMaxFiles   = 5
	defaultClusterDomain = "cluster.local"
	defaultResolvConf    = "/etc/resolv.conf"
	defaultEgressLimit   = "*"
	defaultStreamIdle    = 4 * time.Hour
)

// Config is the agent's settings, one field for each. Load makes it. The Config that Load returns
// is complete and valid: every path is absolute, and the files that must exist are readable.
type Config struct {
	NodeName string     // RFC 1123 subdomain
	Hostname string     // RFC 1123 subdomain, also in upper case, at most 63 characters
	NodeIP   netip.Addr // not unspecified, not multicast, without a zone

	// PodCIDRs are used if the Node has none: at most one range of IPv4 and one of IPv6. With
	// NodeAddressOnly, pods have the node's address.
	PodCIDRs        []netip.Prefix
	NodeAddressOnly bool

	NodeLabels map[string]string // only labels that a node may set on itself; not nil
	// RegisterWithTaints is nil if the node's own taints apply. It is empty if the node gets no
	// taints.
	RegisterWithTaints []corev1.Taint
	MaxPods            int // 1 to 65535
	// EvictionHard is empty if the node never evicts a pod. Then the node is never under pressure.
	EvictionHard       []node.Threshold
	PressureTransition time.Duration

	Addr           netip.Addr // where the kubelet API listens
	Port           int        // 1 to 65535
	CertFile       string     // may not exist yet
	PrivateKeyFile string     // may not exist yet
	ClientCAFile   string     // empty: the authority of the kubeconfig
	API            API
	// StreamIdleTimeout is for connections of exec, attach and port-forward; 0: no time-out.
	StreamIdleTimeout time.Duration

	BootstrapFile string // it exists, unless Kubeconfig exists
	Kubeconfig    string // the node's own file; never the same as BootstrapFile; may not exist yet

	DataDir          string // may not exist yet; see prepareDataDir
	PluginsDir       string // may not exist
	DevicePluginsDir string // may not exist
	PodLogsDir       string // may not exist yet
	ContainerLogsDir string // may not exist yet; empty: no links

	ClusterDNS    []netip.Addr // empty: pods have the node's name servers
	ClusterDomain string       // RFC 1123 subdomain, or empty
	ResolvConf    string       // absolute, may not exist; empty: the node has none

	InsecureRegistries       []string // host or host:port
	RegistryCAs              []string // readable files of PEM certificates
	RegistryConfigDir        string   // of hosts.toml files; empty: none
	CredentialProviderConfig string   // set together with the next field; empty: no plugins
	CredentialProviderDir    string
	ImageVerification        registry.Verification
	ImagesNotVerified        []string // only with registry.NeverVerifyAllowlistedImages
	AllowLocalModules        bool
	AllowUnsafeEngine        bool
	MaxModuleSize            int64 // bytes, at most LargestModule
	MaxParallelImagePulls    int   // 1 or more
	ImageGCHighThreshold     int   // percent, higher than the low threshold
	ImageGCLowThreshold      int   // percent
	ImageMinimumAge          time.Duration
	ImageMaximumAge          time.Duration // 0: no limit; otherwise more than the minimum age

	Workers              int   // 1 to maxWorkers
	ContainerLogMaxSize  int64 // bytes
	ContainerLogMaxFiles int   // 2 or more
	ContainerOutputRate  int64 // bytes per second; 0 is no limit

	// EgressLimit and DefaultEgress are lists of egress: the node's ceiling, and what pods have that
	// do not say.
	EgressLimit   string
	DefaultEgress string
	Services      string // ServicesByHost or ServicesByKernel

	TracingEndpoint               string // host:port; empty: no traces
	TracingSamplingRatePerMillion int    // 0 to 1,000,000

	LogLevel  zapcore.Level
	LogFormat string // logging.Console or logging.JSON
}

// defaults are the settings that the user leaves out, except those that follow from the machine or
// from other settings.
func defaults() Config {
	return Config{
		NodeLabels: map[string]string{},
		MaxPods:    defaultMaxPods,

		EvictionHard:       node.DefaultThresholds(),
		PressureTransition: node.DefaultPressureTransition,

		Addr:      netip.IPv4Unspecified(),
		Port:      defaultPort,
		API:       defaultAPI(),
		LogFormat: logging.JSON,

		ImageVerification:     registry.NeverVerifyPreloadedImages,
		MaxModuleSize:         runtime.DefaultMaxModule,
		MaxParallelImagePulls: defaultParallelPulls,
		ImageGCHighThreshold:  defaultGCHighThreshold,
		ImageGCLowThreshold:   defaultGCLowThreshold,
		ImageMinimumAge:       defaultMinImageAge,

		Workers:              defaultWorkers,
		ContainerLogMaxSize:  defaultLogMaxSize,
		ContainerLogMaxFiles: defaultLogMaxFiles,

		EgressLimit: defaultEgressLimit,
		Services:    ServicesByHost,

		TracingSamplingRatePerMillion: AllTraces,

		ClusterDomain:     defaultClusterDomain,
		ResolvConf:        defaultResolvConf,
		StreamIdleTimeout: defaultStreamIdle,
	}
}

// DockerConfig is the path of the docker config that only the node uses.
func (c Config) DockerConfig() string {
	return filepath.Join(c.DataDir, "config", "docker", "config.json")
}

// CompiledDir is the folder of compiled code in an agent's data directory.
func CompiledDir(dataDir string) string { return filepath.Join(dataDir, "modules", "compiled") }
