package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// parseLabels reads entries of the form key=value. An entry without "=" has the empty value, as in
// Krustlet.
func parseLabels(items []string) (map[string]string, error) {
	labels := make(map[string]string, len(items))
	var errs []error
	for _, item := range items {
		key, value, _ := strings.Cut(item, "=")
		if err := checkLabel(key, value); err != nil {
			errs = append(errs, err)
			continue
		}
		if old, ok := labels[key]; ok && old != value {
			errs = append(errs, fmt.Errorf("label %q is given twice, as %q and as %q: keep one", key, old, value))
			continue
		}
		labels[key] = value
	}
	return labels, errors.Join(errs...)
}

func checkLabel(key, value string) error {
	if err := checkKeyAndValue("label", key, value); err != nil {
		return err
	}
	if !settableLabel(key) {
		return fmt.Errorf("label %q cannot be set by a node on itself: in the domains kubernetes.io and k8s.io the API server admits few (see docs/configuration.md); put it on with kubectl label node", key)
	}
	return nil
}

func checkKeyAndValue(what, key, value string) error {
	if len(validation.IsQualifiedName(key)) > 0 {
		return fmt.Errorf("%s key %q is not valid: write NAME or DOMAIN/NAME, the name of letters, digits, '-', '_' and '.', at most 63 characters", what, key)
	}
	if len(validation.IsValidLabelValue(value)) > 0 {
		return fmt.Errorf("value %q of %s %q is not valid: write letters, digits, '-', '_' and '.', with a letter or digit at both ends, at most 63 characters", value, what, key)
	}
	return nil
}

// nodeLabels are the labels of the domains kubernetes.io and k8s.io that a node may set on itself.
// The admission plugin NodeRestriction decides that. settableLabel knows the domains in which all
// labels are allowed.
var nodeLabels = []string{
	corev1.LabelHostname,
	corev1.LabelOSStable, corev1.LabelArchStable,
	"beta.kubernetes.io/os", "beta.kubernetes.io/arch",
	corev1.LabelTopologyZone, corev1.LabelTopologyRegion,
	corev1.LabelFailureDomainBetaZone, corev1.LabelFailureDomainBetaRegion,
	corev1.LabelInstanceType, corev1.LabelInstanceTypeStable,
}

// settableLabel reports whether NodeRestriction allows a label. So the user gets the message before
// the node registers.
func settableLabel(key string) bool {
	domain, _, ok := strings.Cut(key, "/")
	if !ok || !within(domain, "kubernetes.io") && !within(domain, "k8s.io") {
		return true
	}
	return slices.Contains(nodeLabels, key) ||
		within(domain, corev1.LabelNamespaceSuffixKubelet) || within(domain, corev1.LabelNamespaceSuffixNode)
}

// within reports whether a domain is parent or a part of parent.
func within(domain, parent string) bool {
	return domain == parent || strings.HasSuffix(domain, "."+parent)
}

// parseTaints reads entries of the form key=value:effect or key:effect. The result is never nil.
// Without entries it means no taints, not the default ones.
func parseTaints(items []string) ([]corev1.Taint, error) {
	taints := make([]corev1.Taint, 0, len(items))
	var errs []error
	for _, item := range items {
		taint, err := parseTaint(item)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if slices.ContainsFunc(taints, func(t corev1.Taint) bool { return t.MatchTaint(&taint) }) {
			errs = append(errs, fmt.Errorf("taint %s:%s is given twice: keep one", taint.Key, taint.Effect))
			continue
		}
		taints = append(taints, taint)
	}
	return taints, errors.Join(errs...)
}

func parseTaint(item string) (corev1.Taint, error) {
	const want = "write KEY=VALUE:EFFECT or KEY:EFFECT, the effect NoSchedule, PreferNoSchedule or NoExecute"
	pair, effect, ok := strings.Cut(item, ":")
	if !ok {
		return corev1.Taint{}, fmt.Errorf("taint %q has no effect: %s", item, want)
	}
	switch corev1.TaintEffect(effect) {
	case corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute:
	default:
		return corev1.Taint{}, fmt.Errorf("taint %q has the unknown effect %q: %s", item, effect, want)
	}
	key, value, _ := strings.Cut(pair, "=")
	if err := checkKeyAndValue("taint", key, value); err != nil {
		return corev1.Taint{}, err
	}
	return corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffect(effect)}, nil
}
