package podsync

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// policy says when a container is to run again.
func (s *podState) policy(c *containerState) corev1.RestartPolicy {
	if c.ephemeral {
		return corev1.RestartPolicyNever
	}
	if c.spec.RestartPolicy != nil {
		return corev1.RestartPolicy(*c.spec.RestartPolicy)
	}
	return s.pod.Spec.RestartPolicy
}

// overForGood says whether a container has ended and is not to run again. An init container that succeeded is not run again
// whatever the policy, unless it is a sidecar.
func (s *podState) overForGood(c *containerState) bool {
	if c.step != exited || c.next != nil || c.again {
		return false
	}
	switch action := ruleFor(c.spec, c.exit.ExitCode); {
	case action == corev1.ContainerRestartRuleActionRestartAllContainers:
		return false
	case c.init && !c.sidecar && c.exit.ExitCode == 0:
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

// ruleFor is what the first of a container's rules that speaks of an exit code asks for, or empty.
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
