package life

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// policy decides when a container runs again.
func (s *Pod) policy(c *container) corev1.RestartPolicy {
	if c.kind == podspec.Ephemeral {
		return corev1.RestartPolicyNever
	}
	if c.spec.RestartPolicy != nil {
		return corev1.RestartPolicy(*c.spec.RestartPolicy)
	}
	return s.pod.Spec.RestartPolicy
}

// staysEnded reports whether a container has ended and does not run again. An init container that
// succeeded does not run again under any policy, unless it is a sidecar.
func (s *Pod) staysEnded(c *container) bool {
	if c.step != ended || c.next != nil || c.again {
		return false
	}
	switch action := ruleFor(c.spec, c.exit.ExitCode); {
	case action == corev1.ContainerRestartRuleActionRestartAllContainers:
		return false
	case c.kind == podspec.Init && c.exit.ExitCode == 0:
		return true
	case action == corev1.ContainerRestartRuleActionRestart:
		return false
	}
	switch s.policy(c) {
	case corev1.RestartPolicyNever:
		return true
	case corev1.RestartPolicyOnFailure:
		return c.exit.ExitCode == 0
	default:
		return false
	}
}

// ruleFor is the action of the first rule of a container that matches an exit code, or empty.
func ruleFor(c *corev1.Container, code int32) corev1.ContainerRestartRuleAction {
	for _, rule := range c.RestartPolicyRules {
		if rule.ExitCodes == nil {
			continue
		}
		in := rule.ExitCodes.Operator == corev1.ContainerRestartRuleOnExitCodesOpIn
		if slices.Contains(rule.ExitCodes.Values, code) == in {
			return rule.Action
		}
	}
	return ""
}
