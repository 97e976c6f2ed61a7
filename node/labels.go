package node

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	// platform is the value of a node's labels for the architecture and the operating system.
	platform = "wasm32-wasi"
	// architecture is the architecture in the status (nodeInfo).
	architecture = "wasm-wasi"

	labelBetaArch = "beta.kubernetes.io/arch"
	labelBetaOS   = "beta.kubernetes.io/os"
	labelType     = "type"
	typeKrustlet  = "krustlet"
)

// ownLabels are the labels that every such Node has.
func ownLabels(hostname string) map[string]string {
	return map[string]string{
		corev1.LabelArchStable: platform,
		corev1.LabelOSStable:   platform,
		labelBetaArch:          platform,
		labelBetaOS:            platform,
		corev1.LabelHostname:   hostname,
		labelType:              typeKrustlet,
	}
}

func allLabels(cfg Config) map[string]string {
	labels := ownLabels(cfg.Hostname)
	maps.Copy(labels, cfg.Labels) // ValidateLabels has checked which of them may differ
	return labels
}

// mayDiffer reports whether a label of ownLabels may have another value. API servers resize pods
// only on nodes whose operating system is linux.
func mayDiffer(key, value string) bool {
	return (key == corev1.LabelOSStable || key == labelBetaOS) && value == string(corev1.Linux)
}

func annotations() map[string]string {
	return map[string]string{
		"node.alpha.kubernetes.io/ttl":                           "0",
		"volumes.kubernetes.io/controller-managed-attach-detach": "true",
	}
}

// settable are labels below kubernetes.io and k8s.io. NodeRestriction lets a node set these, and
// the labels below settableDomains.
var settable = []string{
	corev1.LabelHostname,
	corev1.LabelTopologyZone, corev1.LabelTopologyRegion,
	corev1.LabelFailureDomainBetaZone, corev1.LabelFailureDomainBetaRegion,
	corev1.LabelInstanceType, corev1.LabelInstanceTypeStable,
	corev1.LabelOSStable, corev1.LabelArchStable,
	labelBetaOS, labelBetaArch,
}

var settableDomains = []string{"kubelet.kubernetes.io", "node.kubernetes.io"}

// ValidateLabels checks labels that a person wants on the Node. Their syntax must be valid, the API
// server must let a node set them, and they must not contradict ownLabels, except where mayDiffer
// allows it.
func ValidateLabels(labels map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		value := labels[key]
		if problems := validation.IsQualifiedName(key); len(problems) > 0 {
			return fmt.Errorf("the node label key %q is not valid: %s", key, strings.Join(problems, "; "))
		}
		if problems := validation.IsValidLabelValue(value); len(problems) > 0 {
			return fmt.Errorf("the value %q of the node label %s is not valid: %s", value, key, strings.Join(problems, "; "))
		}
		if key == corev1.LabelHostname {
			return fmt.Errorf("the node label %s is the hostname: set that instead", key)
		}
		if own, ok := ownLabels("")[key]; ok && own != value && !mayDiffer(key, value) {
			return fmt.Errorf("the node label %s is always %s here and cannot be %q", key, own, value)
		}
		if !nodeMaySet(key) {
			return fmt.Errorf("the node label %s is not one that a node may give itself: use kubectl label node, or a key outside kubernetes.io and k8s.io", key)
		}
	}
	return nil
}

// nodeMaySet reports whether NodeRestriction lets a node set a label.
func nodeMaySet(key string) bool {
	domain, _, qualified := strings.Cut(key, "/")
	if !qualified || !(within(domain, "kubernetes.io") || within(domain, "k8s.io")) {
		return true
	}
	return slices.Contains(settable, key) || slices.ContainsFunc(settableDomains, func(d string) bool { return within(domain, d) })
}

func within(domain, parent string) bool {
	return domain == parent || strings.HasSuffix(domain, "."+parent)
}
