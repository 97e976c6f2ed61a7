package life

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestRestartRules(t *testing.T) {
	rule := func(op corev1.ContainerRestartRuleOnExitCodesOperator, codes ...int32) corev1.ContainerRestartRule {
		return corev1.ContainerRestartRule{
			Action:    corev1.ContainerRestartRuleActionRestart,
			ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: op, Values: codes},
		}
	}
	const in, notIn = corev1.ContainerRestartRuleOnExitCodesOpIn, corev1.ContainerRestartRuleOnExitCodesOpNotIn
	never, always, onFailure := corev1.ContainerRestartPolicyNever, corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyOnFailure
	for name, tt := range map[string]struct {
		pod   corev1.RestartPolicy
		own   *corev1.ContainerRestartPolicy
		rules []corev1.ContainerRestartRule
		code  int32
		again bool
	}{
		"the pod's":                 {corev1.RestartPolicyNever, nil, nil, 1, false},
		"its own, always":           {corev1.RestartPolicyNever, &always, nil, 0, true},
		"its own, never":            {corev1.RestartPolicyAlways, &never, nil, 1, false},
		"its own, on failure":       {corev1.RestartPolicyAlways, &onFailure, nil, 0, false},
		"its own, after a failure":  {corev1.RestartPolicyNever, &onFailure, nil, 1, true},
		"a rule that speaks of it":  {corev1.RestartPolicyNever, &never, []corev1.ContainerRestartRule{rule(in, 42)}, 42, true},
		"a rule for other codes":    {corev1.RestartPolicyNever, &never, []corev1.ContainerRestartRule{rule(in, 42)}, 41, false},
		"a rule for all but it":     {corev1.RestartPolicyNever, &never, []corev1.ContainerRestartRule{rule(notIn, 42)}, 42, false},
		"a rule for all but others": {corev1.RestartPolicyNever, &never, []corev1.ContainerRestartRule{rule(notIn, 42)}, 1, true},
		"the second rule":           {corev1.RestartPolicyNever, &never, []corev1.ContainerRestartRule{rule(in, 1), rule(in, 2)}, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, tt.pod, "a")
			c := s.state.containers[0].spec
			c.RestartPolicy, c.RestartPolicyRules = tt.own, tt.rules
			s.launch("a")
			if tt.again {
				s.at(1, exit("a", tt.code, 1), "pull a")
				s.phase(corev1.PodRunning)
				return
			}
			s.at(1, exit("a", tt.code, 1))
			if phase := s.status().Phase; phase == corev1.PodRunning {
				t.Errorf("phase %s", phase)
			}
		})
	}
}
