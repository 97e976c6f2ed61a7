package config

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/netip"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"

	"github.com/krustlet-go/krustlet-wasi/node"
	"github.com/krustlet-go/krustlet-wasi/registry"
)

// TestConfiguration: /configz is readable as the stock kubelet's configuration, and shows what the
// user has set.
func TestConfiguration(t *testing.T) {
	cfg := newScene(t).mustLoad(t)
	cfg.MaxPods, cfg.Port, cfg.Addr = 7, 3001, netip.MustParseAddr("192.0.2.9")
	cfg.API = API{
		Tokens: true, TokenTTL: time.Minute, AllowedTTL: 2 * time.Minute, DeniedTTL: 3 * time.Second,
		TLSMinVersion: tls.VersionTLS13, TLSCipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}, Profiling: true,
	}
	cfg.ClusterDNS, cfg.StreamIdleTimeout = []netip.Addr{netip.MustParseAddr("192.0.2.53")}, time.Hour
	cfg.PodCIDRs = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/25"), netip.MustParsePrefix("2001:db8::/64")}
	cfg.ImageVerification, cfg.ImagesNotVerified = registry.NeverVerifyAllowlistedImages, []string{"r.example/*"}
	cfg.EvictionHard = []node.Threshold{{Signal: node.MemoryAvailable, Amount: 1536 << 20}, {Signal: node.PIDAvailable, Percent: 2.5}}
	cfg.PressureTransition = 90 * time.Second
	cfg.RegisterWithTaints = []corev1.Taint{{Key: "a", Effect: corev1.TaintEffectNoSchedule}}
	page := readConfigz(t, cfg)
	kubelet := page.decoded
	if *kubelet.Authentication.Anonymous.Enabled || !*kubelet.Authentication.Webhook.Enabled || kubelet.ReadOnlyPort != 0 {
		t.Errorf("access: %v", page.kubelet)
	}
	for name, pair := range map[string][2]any{
		"maxPods":         {kubelet.MaxPods, int32(7)},
		"port":            {kubelet.Port, int32(3001)},
		"address":         {kubelet.Address, "192.0.2.9"},
		"tokens' cache":   {kubelet.Authentication.Webhook.CacheTTL.Duration, time.Minute},
		"denials' cache":  {kubelet.Authorization.Webhook.CacheUnauthorizedTTL.Duration, 3 * time.Second},
		"TLS":             {kubelet.TLSMinVersion, "VersionTLS13"},
		"suites":          {kubelet.TLSCipherSuites, []string{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}},
		"thresholds":      {kubelet.EvictionHard, map[string]string{"memory.available": "1536Mi", "pid.available": "2.5%"}},
		"transition":      {kubelet.EvictionPressureTransitionPeriod.Duration, 90 * time.Second},
		"profiling":       {*kubelet.EnableProfilingHandler, true},
		"debugging flags": {*kubelet.EnableDebugFlagsHandler, false},
		"log size":        {kubelet.ContainerLogMaxSize, "10Mi"},
		"log files":       {*kubelet.ContainerLogMaxFiles, int32(5)},
		"logs":            {kubelet.PodLogsDir, cfg.DataDir + "/logs"},
		"name servers":    {kubelet.ClusterDNS, []string{"192.0.2.53"}},
		"addresses":       {kubelet.PodCIDR, "192.0.2.0/25,2001:db8::/64"},
		"streams":         {kubelet.StreamingConnectionIdleTimeout.Duration, time.Hour},
		"verification":    {kubelet.ImagePullCredentialsVerificationPolicy, kubeletv1beta1.NeverVerifyAllowlistedImages},
		"allowlist":       {kubelet.PreloadedImagesVerificationAllowlist, []string{"r.example/*"}},
		"taints":          {kubelet.RegisterWithTaints, cfg.RegisterWithTaints},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
		}
	}
	if page.ours["nodeName"] != cfg.NodeName || page.ours["dataDir"] != cfg.DataDir {
		t.Errorf("our own: %v", page.ours)
	}
}

// configz is the content of /configz.
type configz struct {
	decoded       kubeletv1beta1.KubeletConfiguration
	kubelet, ours map[string]any // kubelet is the content of decoded as JSON
}

// readConfigz reads /configz in the way of a strict client that knows the stock kubelet's
// configuration. It refuses fields that this configuration does not have.
func readConfigz(t *testing.T, cfg Config) configz {
	t.Helper()
	text, err := json.Marshal(cfg.Shown())
	if err != nil {
		t.Fatal(err)
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(text, &parts); err != nil || len(parts) != 2 {
		t.Fatalf("%v: %s", err, text)
	}
	var page configz
	decoder := json.NewDecoder(bytes.NewReader(parts["kubeletconfig"]))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&page.decoded); err != nil {
		t.Fatalf("%v: %s", err, parts["kubeletconfig"])
	}
	again, err := json.Marshal(page.decoded)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(json.Unmarshal(again, &page.kubelet), json.Unmarshal(parts["krustlet-wasi"], &page.ours)); err != nil {
		t.Fatal(err)
	}
	return page
}

// at is the value at the location that the row names, as JSON; "null" if there is none.
func (c configz) at(t *testing.T, s setting, where shown) string {
	t.Helper()
	var value any
	switch {
	case where.path != nil:
		value = c.kubelet
		for _, name := range where.path {
			object, _ := value.(map[string]any)
			value = object[name]
		}
	case where.key != "":
		value = c.ours[where.key]
	default:
		value = c.ours[s.key]
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// writeAuthority writes a certificate that is signed with its own key, and returns the file.
func (s *scene) writeAuthority(t *testing.T) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	cert, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return s.write(t, "ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
}

// shownSample is a value of a setting that is not the default, and what /configz then shows.
type shownSample struct {
	file string            // a configuration file; empty: it has the key with the first of want
	env  map[string]string // for a setting that the file cannot have
	want []string          // as JSON, for each location of the row
	only bool              // the default is the setting's only value
}

// sees is the sample of a setting that /configz shows as in the file.
func sees(value string) shownSample { return shownSample{want: []string{value}} }

// seesAs is the sample of a setting that /configz shows in another form than the file.
func seesAs(file string, want ...string) shownSample { return shownSample{file: file, want: want} }

// shownSamples has a sample for each setting, by its name. file is a file of PEM certificates.
func shownSamples(file string) map[string]shownSample {
	return map[string]shownSample{
		"node-name":                           sees(`"other"`),
		"hostname":                            sees(`"other"`),
		"node-ip":                             sees(`"2001:db8::9"`),
		"pod-cidr":                            seesAs(`{"podCIDR": ["10.1.0.0/24", "fd00::/64"]}`, `"10.1.0.0/24,fd00::/64"`, `["10.1.0.0/24","fd00::/64"]`),
		"node-labels":                         sees(`{"a":"1","b":""}`),
		"register-with-taints":                seesAs(`{"registerWithTaints": ["a=1:NoSchedule"]}`, `[{"effect":"NoSchedule","key":"a","value":"1"}]`),
		"max-pods":                            sees(`7`),
		"eviction-hard":                       sees(`{"memory.available":"1Gi","pid.available":"2.5%"}`),
		"eviction-pressure-transition-period": sees(`"1m30s"`),

		"addr":                                   sees(`"192.0.2.9"`),
		"port":                                   sees(`3001`),
		"cert-file":                              sees(`"/other.crt"`),
		"private-key-file":                       sees(`"/other.key"`),
		"client-ca-file":                         sees(quote(file)),
		"streaming-connection-idle-timeout":      sees(`"1h0m0s"`),
		"anonymous-auth":                         {want: []string{`false`}, only: true},
		"authentication-token-webhook":           sees(`false`),
		"authentication-token-webhook-cache-ttl": sees(`"1m0s"`),
		"authorization-mode":                     {want: []string{`"Webhook"`}, only: true},
		"authorization-webhook-cache-authorized-ttl":   sees(`"1m0s"`),
		"authorization-webhook-cache-unauthorized-ttl": sees(`"1m0s"`),
		"tls-min-version":            sees(`"VersionTLS13"`),
		"tls-cipher-suites":          sees(`["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]`),
		"enable-profiling-handler":   sees(`true`),
		"enable-debug-flags-handler": sees(`true`),

		"bootstrap-file":     sees(quote(file)),
		"KUBECONFIG":         {env: map[string]string{"KUBECONFIG": "/other.conf"}, want: []string{`"/other.conf"`}},
		"data-dir":           sees(`"/other"`),
		"pod-logs-dir":       sees(`"/other/logs"`),
		"container-logs-dir": sees(`"/other/links"`),
		"plugins-dir":        sees(`"/other/plugins"`),
		"device-plugins-dir": sees(`"/other/devices"`),

		"insecure-registries":                        sees(`["r.example:5000"]`),
		"registry-ca":                                sees(`[` + quote(file) + `]`),
		"registry-config-dir":                        sees(`"/hosts"`),
		"image-credential-provider-config":           seesAs(`{"imageCredentialProviderConfig": "/p.yaml", "imageCredentialProviderBinDir": "/bin"}`, `"/p.yaml"`),
		"image-credential-provider-bin-dir":          seesAs(`{"imageCredentialProviderConfig": "/p.yaml", "imageCredentialProviderBinDir": "/bin"}`, `"/bin"`),
		"image-pull-credentials-verification-policy": sees(`"AlwaysVerify"`),
		"preloaded-images-verification-allowlist": seesAs(`{"preloadedImagesVerificationAllowlist": ["r.example/*"],
			"imagePullCredentialsVerificationPolicy": "NeverVerifyAllowlistedImages"}`, `["r.example/*"]`),
		"max-module-size":            seesAs(`{"maxModuleSize": "1Ki"}`, `1024`),
		"x-allow-local-modules":      sees(`true`),
		"max-parallel-image-pulls":   seesAs(`{"maxParallelImagePulls": 1}`, `1`, `true`),
		"image-gc-high-threshold":    sees(`90`),
		"image-gc-low-threshold":     sees(`70`),
		"minimum-image-ttl-duration": sees(`"1m0s"`),
		"image-maximum-gc-age":       sees(`"24h0m0s"`),

		"workers":                 sees(`3`),
		"container-log-max-size":  sees(`"1Mi"`),
		"container-log-max-files": sees(`3`),
		"container-output-rate":   seesAs(`{"containerOutputRate": "64Ki"}`, `65536`),
		"x-allow-unsafe-engine":   sees(`true`),

		"egress-limit":   seesAs(`{"egressLimit": ["cluster", "a.example:443"]}`, `"cluster,a.example:443"`),
		"default-egress": seesAs(`{"defaultEgress": ["cluster:53"]}`, `"cluster:53"`),
		"services":       sees(`"kernel"`),

		"cluster-dns":    sees(`["192.0.2.53"]`),
		"cluster-domain": sees(`"other.test"`),
		"resolv-conf":    sees(`"/other.conf"`),

		"tracing-endpoint":                  sees(`"collector.example:4317"`),
		"tracing-sampling-rate-per-million": seesAs(`{"tracingEndpoint": "collector.example:4317", "tracingSamplingRatePerMillion": 7}`, `7`),

		"log-level":  sees(`"error"`),
		"log-format": seesAs(`{"logFormat": "console"}`, `"text"`),
	}
}

// TestEverySettingIsShown checks what each row of the table says about /configz: a value that is
// not the default is shown there.
func TestEverySettingIsShown(t *testing.T) {
	for _, s := range settings() {
		t.Run(s.name(), func(t *testing.T) {
			if (len(s.shown) == 0) == (s.notShown == "") {
				t.Fatalf("it is shown at %d locations, and is not shown because %q", len(s.shown), s.notShown)
			}
			if len(s.shown) == 0 {
				return
			}
			sc := newScene(t)
			sample, ok := shownSamples(sc.writeAuthority(t))[s.name()]
			if !ok || len(sample.want) != len(s.shown) {
				t.Fatalf("it is shown at %d locations, and the sample has %d", len(s.shown), len(sample.want))
			}
			before := readConfigz(t, sc.mustLoad(t))
			if sc.file = sample.file; sc.file == "" && s.key != "" {
				sc.file = fmt.Sprintf("{%q: %s}", s.key, sample.want[0])
			}
			delete(sc.env, s.env) // the variable would override the file
			maps.Copy(sc.env, sample.env)
			after := readConfigz(t, sc.mustLoad(t))
			for i, where := range s.shown {
				if got := after.at(t, s, where); got != sample.want[i] {
					t.Errorf("%v: %s, want %s", append(where.path, where.key), got, sample.want[i])
				}
				if old := before.at(t, s, where); (old == sample.want[i]) != sample.only {
					t.Errorf("%v: %s by default, and %s with the sample", append(where.path, where.key), old, sample.want[i])
				}
			}
		})
	}
}

// TestConfigzWithoutSettings: settings that are not in use are left out, if the stock kubelet would
// interpret an empty value.
func TestConfigzWithoutSettings(t *testing.T) {
	s := newScene(t)
	page := readConfigz(t, s.mustLoad(t))
	for _, name := range []string{"tracing", "registerWithTaints", "tlsCipherSuites", "preloadedImagesVerificationAllowlist"} {
		if value, ok := page.kubelet[name]; ok {
			t.Errorf("%s: %v", name, value)
		}
	}
	if pulls := page.decoded.SerializeImagePulls; pulls == nil || *pulls {
		t.Errorf("serializeImagePulls: %v", pulls)
	}
	s.file = `{"podCIDR": ["none"]}`
	if ranges := fmt.Sprint(readConfigz(t, s.mustLoad(t)).ours["podCIDR"]); ranges != "[none]" {
		t.Errorf("podCIDR of pods with the node's address: %s", ranges)
	}
}
