package node

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Config is what the Node object must be.
type Config struct {
	// Name of the object, and its user name without system:node:.
	Name string
	// Hostname goes into an address and a label: at most 63 characters.
	Hostname string
	IP       net.IP
	// Port of the kubelet API.
	Port int
	// Labels in addition to those of the contract; see ValidateLabels.
	Labels map[string]string
	// Taints at registration. Nil: DefaultTaints. Empty: none.
	Taints []corev1.Taint
	// MaxPods is the capacity for pods, at least 1.
	MaxPods int
	// DataDir must exist; the disk that it is on is the node's ephemeral storage.
	DataDir string
	// Version is that of krustlet-wasi: it becomes a part of the kubelet's version.
	Version string
	// RuntimeVersion is the container runtime's, as in wasmtime://39.0.1.
	RuntimeVersion string
	// RuntimeHandlers are the handlers of RuntimeClasses that the node has; empty is the name of
	// the default one.
	RuntimeHandlers []string
	// DeclaredFeatures are the features of Kubernetes that the scheduler asks nodes for, and that
	// this one has; sorted.
	DeclaredFeatures []string
	// Ready tells why the node is not ready, or nil. It is asked every second, from one goroutine,
	// and must not block. Nil: always ready.
	Ready func() error
	// Pressure says which conditions the machine's shortages make true. Nil: one with the default
	// thresholds.
	Pressure *Pressure
	// Images lists the images on the node, the largest first. It is called before each report, from
	// one goroutine. Nil: images are not reported.
	Images func() []corev1.ContainerImage
}

// Intervals of a kubelet.
const (
	leaseDuration   = 40 * time.Second
	leaseRenewal    = 10 * time.Second
	statusInterval  = 10 * time.Second
	statusMaxAge    = 5 * time.Minute
	readyPoll       = time.Second
	callTimeout     = 10 * time.Second
	registerBackoff = 7 * time.Second
)

// kubernetesVersion is the release whose kubelet this one behaves like.
const kubernetesVersion = "v1.36.3"

var notInVersion = regexp.MustCompile(`[^0-9A-Za-z.-]+`)

// KubeletVersion is what the Node reports for a version of krustlet-wasi: a Kubernetes release that
// version-skew checks can read, with ours as build metadata, which comparisons ignore (as a
// pre-release it would count as older than the release).
func KubeletVersion(version string) string {
	version = strings.Trim(notInVersion.ReplaceAllString(version, "-"), ".-")
	if version == "" {
		return kubernetesVersion + "+krustlet-wasi"
	}
	return kubernetesVersion + "+krustlet-wasi." + version
}

func (c Config) validate() error {
	if problems := validation.IsDNS1123Subdomain(c.Name); len(problems) > 0 {
		return fmt.Errorf("the node name %q is not valid: %s", c.Name, strings.Join(problems, "; "))
	}
	if problems := validation.IsValidLabelValue(c.Hostname); c.Hostname == "" || len(problems) > 0 {
		return fmt.Errorf("the hostname %q cannot be a node's label %s: %s", c.Hostname, corev1.LabelHostname, strings.Join(problems, "; "))
	}
	if c.IP == nil {
		return errors.New("the node has no IP address")
	}
	if c.Port < 1 || c.Port > 65535 {
		return fmt.Errorf("the port %d is not between 1 and 65535", c.Port)
	}
	if c.MaxPods < 1 {
		return fmt.Errorf("the node's capacity for pods is %d, it must be at least 1", c.MaxPods)
	}
	return ValidateLabels(c.Labels)
}

// DefaultTaints keep pods away that do not say that they are WebAssembly.
func DefaultTaints() []corev1.Taint {
	return []corev1.Taint{
		{Key: corev1.LabelArchStable, Value: platform, Effect: corev1.TaintEffectNoSchedule},
		{Key: corev1.LabelArchStable, Value: platform, Effect: corev1.TaintEffectNoExecute},
	}
}
