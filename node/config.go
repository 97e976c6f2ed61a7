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

// Config is what the Node object must have.
type Config struct {
	// Name is the name of the object. The node's user name is system:node: and this name.
	Name string
	// Hostname is in an address and in a label, so it has at most 63 characters.
	Hostname string
	IP       net.IP
	// Port is the port of the kubelet API.
	Port int
	// Labels are set beside the labels that every such node has; see ValidateLabels.
	Labels map[string]string
	// Taints are set at registration. Nil: DefaultTaints. Empty: none.
	Taints []corev1.Taint
	// MaxPods is the capacity for pods, at least 1.
	MaxPods int
	// DataDir must exist. Its disk is the node's ephemeral storage.
	DataDir string
	// Version is the version of krustlet-wasi. It becomes a part of the kubelet's version.
	Version string
	// RuntimeVersion is the version of the container runtime, for example wasmtime://39.0.1.
	RuntimeVersion string
	// RuntimeHandlers are the handlers of RuntimeClasses that the node has. The default one has an
	// empty name.
	RuntimeHandlers []string
	// DeclaredFeatures are the features of Kubernetes that this node has and that schedulers look
	// for, sorted.
	DeclaredFeatures []string
	// Ready returns why the node is not ready, or nil if it is. It is called every second, from one
	// goroutine, and must not block. Nil: always ready.
	Ready func() error
	// Pressure decides which conditions of the node are true because the machine is short of
	// something. Nil: a Pressure with the default thresholds.
	Pressure *Pressure
	// Conditions are further conditions of the Node. It is called before each report. It may be nil.
	Conditions func() []corev1.NodeCondition
	// Images lists the images on the node, the largest first. It is called before each report, from
	// one goroutine. Nil: the Node has no list of images.
	Images func() []corev1.ContainerImage
}

// These are the intervals of a kubelet.
const (
	leaseDuration   = 40 * time.Second
	leaseRenewal    = 10 * time.Second
	statusInterval  = 10 * time.Second
	statusMaxAge    = 5 * time.Minute
	readyPoll       = time.Second
	callTimeout     = 10 * time.Second
	registerBackoff = 7 * time.Second
)

// kubernetesVersion is the Kubernetes release whose kubelet this agent behaves like.
const kubernetesVersion = "v1.36.3"

var notInVersion = regexp.MustCompile(`[^0-9A-Za-z.-]+`)

// KubeletVersion is the version that the Node reports. It is a Kubernetes release, so that
// version-skew checks can read it. The version of krustlet-wasi is its build metadata, which
// comparisons ignore. If it were a pre-release, the node would count as older than the release.
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

// DefaultTaints keep pods away that do not tolerate nodes for WebAssembly.
func DefaultTaints() []corev1.Taint {
	return []corev1.Taint{
		{Key: corev1.LabelArchStable, Value: platform, Effect: corev1.TaintEffectNoSchedule},
		{Key: corev1.LabelArchStable, Value: platform, Effect: corev1.TaintEffectNoExecute},
	}
}
