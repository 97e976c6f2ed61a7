package config

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"

	"github.com/krustlet-go/krustlet-wasi/node"
	"github.com/krustlet-go/krustlet-wasi/registry"
)

// What /configz shows can be read as the stock kubelet's configuration, and says what was set.
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
	text, err := json.Marshal(cfg.Shown())
	if err != nil {
		t.Fatal(err)
	}
	var shown struct {
		Kubelet json.RawMessage `json:"kubeletconfig"`
		Ours    map[string]any  `json:"krustlet-wasi"`
	}
	if err := json.Unmarshal(text, &shown); err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(shown.Kubelet))
	decoder.DisallowUnknownFields()
	var kubelet kubeletv1beta1.KubeletConfiguration
	if err := decoder.Decode(&kubelet); err != nil {
		t.Fatalf("%v: %s", err, shown.Kubelet)
	}
	if *kubelet.Authentication.Anonymous.Enabled || !*kubelet.Authentication.Webhook.Enabled || kubelet.ReadOnlyPort != 0 {
		t.Errorf("access: %s", shown.Kubelet)
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
	if shown.Ours["nodeName"] != cfg.NodeName || shown.Ours["dataDir"] != cfg.DataDir {
		t.Errorf("our own: %v", shown.Ours)
	}
	keys := map[string]bool{}
	for _, s := range settings() {
		keys[s.key] = true
	}
	for key := range shown.Ours {
		if !keys[key] {
			t.Errorf("%q is no key of the configuration file", key)
		}
	}
}
