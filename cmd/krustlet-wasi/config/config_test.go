package config

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"go.uber.org/zap/zapcore"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/logging"
	"github.com/krustlet-go/krustlet-wasi/node"
	"github.com/krustlet-go/krustlet-wasi/registry"
)

// sample is a setting as each source may write it, each with another value, and what becomes of it.
type sample struct {
	flag, env, file string // file is JSON
	get             func(Config) any
	fromFlag        any
	fromEnv         any
	fromFile        any
	byDefault       func(home string) any
}

func constantOf(v any) func(Config) any { return func(Config) any { return v } }

func constant(v any) func(string) any { return func(string) any { return v } }

func below(path string) func(string) any {
	return func(home string) any { return filepath.Join(home, path) }
}

func paths(get func(Config) any, def func(string) any) sample {
	return sample{
		flag: "/f/lag", env: "/e/nv", file: `"/fi/le"`, get: get,
		fromFlag: "/f/lag", fromEnv: "/e/nv", fromFile: "/fi/le", byDefault: def,
	}
}

func addresses(get func(Config) any, def string) sample {
	ip := netip.MustParseAddr
	return sample{
		flag: "192.0.2.1", env: "2001:db8::2", file: `"::ffff:192.0.2.3"`, get: get,
		fromFlag: ip("192.0.2.1"), fromEnv: ip("2001:db8::2"), fromFile: ip("192.0.2.3"), byDefault: constant(ip(def)),
	}
}

func lists(get func(Config) any, def string) sample {
	return sample{
		flag: "a.example,10.0.0.0/8:443", env: "", file: `["cluster", "*.b.example"]`, get: get,
		fromFlag: "a.example,10.0.0.0/8:443", fromEnv: "", fromFile: "cluster,*.b.example", byDefault: constant(def),
	}
}

func names(get func(Config) any, def string) sample {
	return sample{
		flag: "by-flag", env: "by-env", file: `"by-file"`, get: get,
		fromFlag: "by-flag", fromEnv: "by-env", fromFile: "by-file", byDefault: constant(def),
	}
}

func numbers(get func(Config) any, def int) sample {
	return sample{
		flag: "1", env: "65535", file: "300", get: get,
		fromFlag: 1, fromEnv: 65535, fromFile: 300, byDefault: constant(def),
	}
}

func amounts(get func(Config) any, def int64) sample {
	return sample{
		flag: "1", env: "64Ki", file: `"10Mi"`, get: get,
		fromFlag: int64(1), fromEnv: int64(64 << 10), fromFile: int64(10 << 20), byDefault: constant(def),
	}
}

func durations(get func(Config) any, def time.Duration) sample {
	return sample{
		flag: "1m30s", env: "0", file: `"500ms"`, get: get,
		fromFlag: 90 * time.Second, fromEnv: time.Duration(0), fromFile: 500 * time.Millisecond, byDefault: constant(def),
	}
}

func percents(get func(Config) any, def int) sample {
	return sample{
		flag: "0", env: "100", file: "50", get: get,
		fromFlag: 0, fromEnv: 100, fromFile: 50, byDefault: constant(def),
	}
}

func switches(get func(Config) any, def bool) sample {
	return sample{
		flag: "false", env: "true", file: "false", get: get,
		fromFlag: false, fromEnv: true, fromFile: false, byDefault: constant(def),
	}
}

// samples has an entry for every setting that the configuration file knows.
func samples() map[string]sample {
	taint := func(key, value, effect string) []corev1.Taint {
		return []corev1.Taint{{Key: key, Value: value, Effect: corev1.TaintEffect(effect)}}
	}
	return map[string]sample{
		"node-name": names(func(c Config) any { return c.NodeName }, "wasm-1.example.org"),
		"hostname":  names(func(c Config) any { return c.Hostname }, "Wasm-1.example.org"),
		"node-ip":   addresses(func(c Config) any { return c.NodeIP }, "192.0.2.7"),
		"addr":      addresses(func(c Config) any { return c.Addr }, "0.0.0.0"),
		"port":      numbers(func(c Config) any { return c.Port }, 3000),
		"max-pods":  numbers(func(c Config) any { return c.MaxPods }, 110),
		"eviction-hard": {
			flag: "memory.available<1Gi,nodefs.available<5%", env: "", file: `{"pid.available": "1000"}`,
			get:       func(c Config) any { return c.EvictionHard },
			fromFlag:  []node.Threshold{{Signal: node.MemoryAvailable, Amount: 1 << 30}, {Signal: node.DiskAvailable, Percent: 5}},
			fromEnv:   []node.Threshold{},
			fromFile:  []node.Threshold{{Signal: node.PIDAvailable, Amount: 1000}},
			byDefault: constant(node.DefaultThresholds()),
		},
		"eviction-pressure-transition-period": durations(func(c Config) any { return c.PressureTransition }, 5*time.Minute),
		"workers": {
			flag: "1", env: "64", file: "3",
			get:      func(c Config) any { return c.Workers },
			fromFlag: 1, fromEnv: 64, fromFile: 3, byDefault: constant(1),
		},
		"container-log-max-size": amounts(func(c Config) any { return c.ContainerLogMaxSize }, 10<<20),
		"container-log-max-files": {
			flag: "2", env: "65535", file: "3",
			get:      func(c Config) any { return c.ContainerLogMaxFiles },
			fromFlag: 2, fromEnv: 65535, fromFile: 3, byDefault: constant(5),
		},
		"tracing-endpoint": {
			flag: "localhost:4317", env: "[::1]:1", file: `"collector.example.org:65535"`,
			get:      func(c Config) any { return c.TracingEndpoint },
			fromFlag: "localhost:4317", fromEnv: "[::1]:1", fromFile: "collector.example.org:65535", byDefault: constant(""),
		},
		"tracing-sampling-rate-per-million": {
			flag: "0", env: "1000000", file: "7",
			get:      func(c Config) any { return c.TracingSamplingRatePerMillion },
			fromFlag: 0, fromEnv: 1_000_000, fromFile: 7, byDefault: constant(1_000_000),
		},
		"container-output-rate": amounts(func(c Config) any { return c.ContainerOutputRate }, 0),
		"cert-file":             paths(func(c Config) any { return c.CertFile }, below(".krustlet/config/krustlet.crt")),
		"private-key-file":      paths(func(c Config) any { return c.PrivateKeyFile }, below(".krustlet/config/krustlet.key")),
		"data-dir":              paths(func(c Config) any { return c.DataDir }, below(".krustlet")),
		"plugins-dir":           paths(func(c Config) any { return c.PluginsDir }, below(".krustlet/plugins")),
		"device-plugins-dir":    paths(func(c Config) any { return c.DevicePluginsDir }, below(".krustlet/device_plugins")),
		"bootstrap-file":        paths(func(c Config) any { return c.BootstrapFile }, constant("/etc/kubernetes/bootstrap-kubelet.conf")),
		"node-labels": {
			flag: "a=1,b=", env: "c=3", file: `{"e": "5", "d": "4"}`,
			get:      func(c Config) any { return c.NodeLabels },
			fromFlag: map[string]string{"a": "1", "b": ""}, fromEnv: map[string]string{"c": "3"},
			fromFile: map[string]string{"d": "4", "e": "5"}, byDefault: constant(map[string]string{}),
		},
		"pod-cidr": {
			flag: "10.1.2.3/24,fd00::/64", env: "none", file: `["10.3.0.0/16"]`,
			get:      func(c Config) any { return fmt.Sprint(c.PodCIDRs, c.NodeAddressOnly) },
			fromFlag: "[10.1.2.0/24 fd00::/64] false", fromEnv: "[] true", fromFile: "[10.3.0.0/16] false", byDefault: constant("[] false"),
		},
		"register-with-taints": {
			flag: "a=1:NoSchedule", env: "b:NoExecute", file: `["c=3:PreferNoSchedule"]`,
			get:      func(c Config) any { return c.RegisterWithTaints },
			fromFlag: taint("a", "1", "NoSchedule"), fromEnv: taint("b", "", "NoExecute"),
			fromFile: taint("c", "3", "PreferNoSchedule"), byDefault: constant([]corev1.Taint(nil)),
		},
		"insecure-registries": {
			flag: "one:5000,two", env: "[::1]:5000", file: `["three", "four:1"]`,
			get:      func(c Config) any { return c.InsecureRegistries },
			fromFlag: []string{"one:5000", "two"}, fromEnv: []string{"[::1]:5000"},
			fromFile: []string{"three", "four:1"}, byDefault: constant([]string(nil)),
		},
		"registry-ca": {
			flag: "/one,/two", env: "/three", file: `["/four"]`,
			get:      func(c Config) any { return c.RegistryCAs },
			fromFlag: []string{"/one", "/two"}, fromEnv: []string{"/three"}, fromFile: []string{"/four"}, byDefault: constant([]string(nil)),
		},
		"registry-config-dir":               paths(func(c Config) any { return c.RegistryConfigDir }, constant("")),
		"image-credential-provider-config":  paths(func(c Config) any { return c.CredentialProviderConfig }, constant("")),
		"image-credential-provider-bin-dir": paths(func(c Config) any { return c.CredentialProviderDir }, constant("")),
		"image-pull-credentials-verification-policy": {
			flag: "AlwaysVerify", env: "NeverVerify", file: `"NeverVerifyAllowlistedImages"`,
			get:      func(c Config) any { return c.ImageVerification },
			fromFlag: registry.AlwaysVerify, fromEnv: registry.NeverVerify, fromFile: registry.NeverVerifyAllowlistedImages,
			byDefault: constant(registry.NeverVerifyPreloadedImages),
		},
		"preloaded-images-verification-allowlist": {
			flag: "r.example/a,b", env: "r.example/*", file: `["c", "r.example:5000/d"]`,
			get:      func(c Config) any { return c.ImagesNotVerified },
			fromFlag: []string{"r.example/a", "b"}, fromEnv: []string{"r.example/*"},
			fromFile: []string{"c", "r.example:5000/d"}, byDefault: constant([]string(nil)),
		},
		"max-module-size":            amounts(func(c Config) any { return c.MaxModuleSize }, 256<<20),
		"max-parallel-image-pulls":   numbers(func(c Config) any { return c.MaxParallelImagePulls }, 10),
		"image-gc-high-threshold":    percents(func(c Config) any { return c.ImageGCHighThreshold }, 85),
		"image-gc-low-threshold":     percents(func(c Config) any { return c.ImageGCLowThreshold }, 80),
		"minimum-image-ttl-duration": durations(func(c Config) any { return c.ImageMinimumAge }, 2*time.Minute),
		"image-maximum-gc-age":       durations(func(c Config) any { return c.ImageMaximumAge }, 0),
		"cluster-dns": {
			flag: "192.0.2.10,2001:db8::a", env: "192.0.2.11", file: `["192.0.2.12"]`,
			get:      func(c Config) any { return c.ClusterDNS },
			fromFlag: []netip.Addr{netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::a")},
			fromEnv:  []netip.Addr{netip.MustParseAddr("192.0.2.11")}, fromFile: []netip.Addr{netip.MustParseAddr("192.0.2.12")},
			byDefault: constant([]netip.Addr(nil)),
		},
		"cluster-domain": {
			flag: "", env: "by-env.test.", file: `"by-file.test"`,
			get:      func(c Config) any { return c.ClusterDomain },
			fromFlag: "", fromEnv: "by-env.test", fromFile: "by-file.test", byDefault: constant("cluster.local"),
		},
		"egress-limit":   lists(func(c Config) any { return c.EgressLimit }, "*"),
		"default-egress": lists(func(c Config) any { return c.DefaultEgress }, ""),
		"services": {
			flag: "host", env: "kernel", file: `"kernel"`,
			get:      func(c Config) any { return c.Services },
			fromFlag: "host", fromEnv: "kernel", fromFile: "kernel", byDefault: constant("host"),
		},
		"resolv-conf":           paths(func(c Config) any { return c.ResolvConf }, constant("/etc/resolv.conf")),
		"x-allow-local-modules": switches(func(c Config) any { return c.AllowLocalModules }, false),
		"x-allow-unsafe-engine": switches(func(c Config) any { return c.AllowUnsafeEngine }, false),

		"pod-logs-dir":       paths(func(c Config) any { return c.PodLogsDir }, below(".krustlet/logs")),
		"container-logs-dir": paths(func(c Config) any { return c.ContainerLogsDir }, constant("")),

		// The two that have one value: that others are refused is in TestInvalidInput.
		"anonymous-auth":     {flag: "false", env: "0", file: "false", get: constantOf(false), fromFlag: false, fromEnv: false, fromFile: false, byDefault: constant(false)},
		"authorization-mode": {flag: "Webhook", env: "Webhook", file: `"Webhook"`, get: constantOf(""), fromFlag: "", fromEnv: "", fromFile: "", byDefault: constant("")},

		"authentication-token-webhook":                 switches(func(c Config) any { return c.API.Tokens }, true),
		"authentication-token-webhook-cache-ttl":       durations(func(c Config) any { return c.API.TokenTTL }, 2*time.Minute),
		"authorization-webhook-cache-authorized-ttl":   durations(func(c Config) any { return c.API.AllowedTTL }, 5*time.Minute),
		"authorization-webhook-cache-unauthorized-ttl": durations(func(c Config) any { return c.API.DeniedTTL }, 30*time.Second),
		"enable-profiling-handler":                     switches(func(c Config) any { return c.API.Profiling }, false),
		"enable-debug-flags-handler":                   switches(func(c Config) any { return c.API.DebugFlags }, false),
		"tls-min-version": {
			flag: "VersionTLS13", env: "VersionTLS12", file: `"VersionTLS13"`,
			get:      func(c Config) any { return c.API.TLSMinVersion },
			fromFlag: uint16(tls.VersionTLS13), fromEnv: uint16(tls.VersionTLS12), fromFile: uint16(tls.VersionTLS13), byDefault: constant(uint16(tls.VersionTLS12)),
		},
		"tls-cipher-suites": {
			flag: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", env: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", file: `[]`,
			get:      func(c Config) any { return c.API.TLSCipherSuites },
			fromFlag: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384},
			fromEnv:  []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}, fromFile: []uint16(nil), byDefault: constant([]uint16(nil)),
		},
		"log-level": {
			flag: "debug", env: "warn", file: `"error"`,
			get:      func(c Config) any { return c.LogLevel },
			fromFlag: zapcore.DebugLevel, fromEnv: zapcore.WarnLevel, fromFile: zapcore.ErrorLevel, byDefault: constant(zapcore.InfoLevel),
		},
		"log-format": {
			flag: "console", env: "json", file: `"console"`,
			get:      func(c Config) any { return c.LogFormat },
			fromFlag: "console", fromEnv: "json", fromFile: "console", byDefault: constant("json"),
		},
		"streaming-connection-idle-timeout": {
			flag: "0", env: "90s", file: `"30m"`,
			get:      func(c Config) any { return c.StreamIdleTimeout },
			fromFlag: time.Duration(0), fromEnv: 90 * time.Second, fromFile: 30 * time.Minute, byDefault: constant(4 * time.Hour),
		},
		"client-ca-file": paths(func(c Config) any { return c.ClientCAFile }, constant("")),
	}
}

// gathered loads without the look at files, which the samples only name.
func (s *scene) gathered(t *testing.T) Config {
	t.Helper()
	if s.file != "" {
		s.write(t, ".krustlet/config/config.json", s.file)
	}
	flags, set := cmdline.Values{}, pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.Define(set, Flags()...)
	if err := set.Parse(s.flags); err != nil {
		t.Fatal(err)
	}
	l := newLoader(flags, s.lookupEnv, testMachine())
	l.read(t.Context())
	for _, err := range l.problems {
		t.Errorf("load: %v", err)
	}
	return l.cfg
}

func TestPrecedence(t *testing.T) {
	all := samples()
	for _, s := range settings() {
		if s.key == "" {
			continue // KUBECONFIG and --config have tests of their own
		}
		smp, ok := all[s.name()]
		if !ok {
			t.Errorf("setting %s has no sample", s.name())
			continue
		}
		t.Run(s.name(), func(t *testing.T) {
			for sources := range 8 {
				sc := &scene{home: t.TempDir(), env: map[string]string{}}
				want := smp.byDefault(sc.home)
				var used []string
				if sources&1 != 0 {
					sc.file = "{" + quote(s.key) + ": " + smp.file + "}"
					want, used = smp.fromFile, append(used, "file")
				}
				if sources&2 != 0 {
					sc.env[s.env] = smp.env
					want, used = smp.fromEnv, append(used, "environment")
				}
				if sources&4 != 0 {
					sc.flags = []string{"--" + s.flag + "=" + smp.flag}
					want, used = smp.fromFlag, append(used, "flag")
				}
				if diff := cmp.Diff(want, smp.get(sc.gathered(t)), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
					t.Errorf("set by %q (-want +got):\n%s", used, diff)
				}
			}
			if s.short != "" {
				sc := &scene{home: t.TempDir(), flags: []string{"-" + s.short, smp.flag}}
				if got := smp.get(sc.gathered(t)); got != smp.fromFlag {
					t.Errorf("-%s %s gives %v", s.short, smp.flag, got)
				}
			}
		})
	}
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// TestKrustletFile reads a file such as Krustlet's users have.
func TestKrustletFile(t *testing.T) {
	s := newScene(t)
	delete(s.env, "KRUSTLET_BOOTSTRAP_FILE")
	s.file = `{
		"listenerPort": 1234,
		"listenerAddress": "192.0.2.1",
		"hostname": "krusty-host",
		"dataDir": "` + s.home + `/data",
		"maxPods": 400,
		"nodeIP": "192.0.2.2",
		"nodeLabels": {"label1": "val1", "label2": "val2"},
		"nodeName": "krusty-node",
		"tlsCertificateFile": "/my/secure.crt",
		"tlsPrivateKeyFile": "/my/secure.key",
		"bootstrapFile": "` + s.home + `/bootstrap.conf",
		"allowLocalModules": true,
		"insecureRegistries": ["local", "dev:5000"],
		"pluginsDir": null,
		"devicePluginsDir": "/devices"
	}`
	want := Config{
		NodeName: "krusty-node", Hostname: "krusty-host", NodeIP: netip.MustParseAddr("192.0.2.2"),
		NodeLabels: map[string]string{"label1": "val1", "label2": "val2"}, MaxPods: 400,
		EvictionHard: node.DefaultThresholds(), PressureTransition: 5 * time.Minute,
		Addr: netip.MustParseAddr("192.0.2.1"), Port: 1234, CertFile: "/my/secure.crt", PrivateKeyFile: "/my/secure.key",
		BootstrapFile: s.home + "/bootstrap.conf", Kubeconfig: s.home + "/data/config/kubeconfig",
		DataDir: s.home + "/data", PluginsDir: s.home + "/data/plugins", DevicePluginsDir: "/devices",
		InsecureRegistries: []string{"local", "dev:5000"}, AllowLocalModules: true,
		ImageVerification: registry.NeverVerifyPreloadedImages, MaxModuleSize: 256 << 20, MaxParallelImagePulls: 10, ImageGCHighThreshold: 85, ImageGCLowThreshold: 80, ImageMinimumAge: 2 * time.Minute,
		Workers: 1, ContainerLogMaxSize: 10 << 20, ContainerLogMaxFiles: 5, TracingSamplingRatePerMillion: AllTraces,
		ClusterDomain: "cluster.local", ResolvConf: "/etc/resolv.conf",
		EgressLimit: "*", Services: "host",
		LogLevel: zapcore.InfoLevel, LogFormat: logging.JSON,
		PodLogsDir: s.home + "/data/logs", API: defaultAPI(), StreamIdleTimeout: 4 * time.Hour,
	}
	if diff := cmp.Diff(want, s.mustLoad(t), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestEmptyValues(t *testing.T) {
	t.Run("an empty variable is not set", func(t *testing.T) {
		s := newScene(t)
		s.file = `{"maxPods": 7, "nodeName": "by-file"}`
		for _, name := range []string{"MAX_PODS", "KRUSTLET_NODE_NAME", "KUBECONFIG", "KRUSTLET_CONFIG", "KRUSTLET_LOG_LEVEL"} {
			s.env[name] = ""
		}
		if c := s.mustLoad(t); c.MaxPods != 7 || c.NodeName != "by-file" {
			t.Errorf("got %d pods and node %q", c.MaxPods, c.NodeName)
		}
	})
	for source, set := range map[string]func(*scene){
		"flag":     func(s *scene) { s.flags = []string{"--register-with-taints=", "--node-labels="} },
		"variable": func(s *scene) { s.env["KRUSTLET_REGISTER_WITH_TAINTS"], s.env["NODE_LABELS"] = "", "" },
		"file":     func(s *scene) { s.file = `{"registerWithTaints": [], "nodeLabels": {}}` },
	} {
		t.Run("an empty list is one, by "+source, func(t *testing.T) {
			s := newScene(t)
			if source != "file" {
				s.file = `{"registerWithTaints": ["a:NoSchedule"], "nodeLabels": {"a": "b"}}`
			}
			set(s)
			c := s.mustLoad(t)
			if c.RegisterWithTaints == nil || len(c.RegisterWithTaints) > 0 {
				t.Errorf("taints are %#v, want none and not the default", c.RegisterWithTaints)
			}
			if len(c.NodeLabels) > 0 {
				t.Errorf("labels are %v", c.NodeLabels)
			}
		})
	}
}

func TestRepeatedFlags(t *testing.T) {
	s := newScene(t)
	s.flags = []string{"--node-labels=a=1", "--port=1", "--node-labels", "b=2,,", "--port", "2"}
	c := s.mustLoad(t)
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "2"}, c.NodeLabels); diff != "" || c.Port != 2 {
		t.Errorf("port %d, labels (-want +got):\n%s", c.Port, diff)
	}
}

func TestLocalModulesFlag(t *testing.T) {
	for args, want := range map[string]bool{
		"":                                       false,
		"--x-allow-local-modules":                true,
		"--x-allow-local-modules=true":           true,
		"--x-allow-local-modules true":           true,
		"--x-allow-local-modules=false":          false,
		"--x-allow-local-modules false --port 1": false,
		"--x-allow-local-modules --port 1":       true,
		"--x-allow-local-modules true --x-allow-local-modules=false":     false,
		"--x-allow-local-modules false --x-allow-local-modules --port=1": true,
	} {
		s := newScene(t)
		s.flags = strings.Fields(args)
		if got := s.mustLoad(t).AllowLocalModules; got != want {
			t.Errorf("%q: %v, want %v", args, got, want)
		}
	}
}

func TestRelativePaths(t *testing.T) {
	s := newScene(t)
	t.Chdir(s.home)
	s.flags = []string{"--data-dir=data", "--bootstrap-file", "./bootstrap.conf"}
	c := s.mustLoad(t)
	if c.DataDir != s.home+"/data" || c.BootstrapFile != s.home+"/bootstrap.conf" || c.CertFile != s.home+"/data/config/krustlet.crt" {
		t.Errorf("data %s, bootstrap %s, certificate %s", c.DataDir, c.BootstrapFile, c.CertFile)
	}
}

func TestConfigFlag(t *testing.T) {
	s := newScene(t)
	s.file = `{"port is": "not read"}`
	s.flags = []string{"--config", s.write(t, "by-flag.json", `{"maxPods": 1}`)}
	s.env["KRUSTLET_CONFIG"] = s.write(t, "by-env.json", `{"maxPods": 2}`)
	if c := s.mustLoad(t); c.MaxPods != 1 {
		t.Errorf("--config: %d pods", c.MaxPods)
	}
	s.flags = nil
	if c := s.mustLoad(t); c.MaxPods != 2 {
		t.Errorf("KRUSTLET_CONFIG: %d pods", c.MaxPods)
	}
}

func TestConfigFileIsNotInTheDataDirectory(t *testing.T) {
	s := newScene(t)
	s.write(t, "data/config/config.json", `{"maxPods": 1}`)
	s.file = `{"maxPods": 2}`
	s.flags = []string{"--data-dir", s.home + "/data"}
	if c := s.mustLoad(t); c.MaxPods != 2 {
		t.Errorf("got %d pods, want those of $HOME/.krustlet/config/config.json", c.MaxPods)
	}
}

func TestWithoutHome(t *testing.T) {
	s := newScene(t)
	s.env["HOME"] = ""
	s.flags = []string{"--data-dir=" + s.home + "/data"}
	if c := s.mustLoad(t); c.DataDir != s.home+"/data" {
		t.Errorf("data directory %s", c.DataDir)
	}
	s.flags = []string{"--config=" + s.write(t, "c.json", `{"dataDir": "/from/file"}`)}
	if c := s.mustLoad(t); c.DataDir != "/from/file" {
		t.Errorf("data directory %s", c.DataDir)
	}
}

func TestLoadWritesNothing(t *testing.T) {
	s := newScene(t)
	s.mustLoad(t)
	if exists(t, s.home+"/.krustlet") {
		t.Error("load made the data directory")
	}
}

func TestLogFormatOnATerminal(t *testing.T) {
	s := newScene(t)
	m := testMachine()
	m.Terminal = true
	c, err := s.load(t, m)
	if err != nil || c.LogFormat != logging.Console {
		t.Errorf("format %q, %v", c.LogFormat, err)
	}
}
