package clusternet

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// The conditions of the Node about its network. They are not the kubelet's, so their names have the
// project's domain.
const (
	ConditionPolicies corev1.NodeConditionType = "krustlet-wasi.dev/NetworkPolicies"
	ConditionServices corev1.NodeConditionType = "krustlet-wasi.dev/Services"
)

// Conditions say what of the network the node does: True if it enforces NetworkPolicies, or leads
// connections to Services.
func (c *Cluster) Conditions() []corev1.NodeCondition {
	c.mu.Lock()
	defer c.mu.Unlock()
	return []corev1.NodeCondition{c.policyCondition(), c.serviceCondition()}
}

const advice = "; give it the ClusterRole of docs/networkpolicy.md"

func (c *Cluster) policyCondition() corev1.NodeCondition {
	condition := corev1.NodeCondition{Type: ConditionPolicies}
	forbidden := forbiddenOf(&c.policies, &c.namespaces, &c.pods)
	switch {
	case c.state.number == 0:
		condition.Status, condition.Reason = corev1.ConditionUnknown, "Waiting"
		condition.Message = "the policies, or what they need, are not listed yet"
	case !c.enforces():
		condition.Status, condition.Reason = corev1.ConditionFalse, "Forbidden"
		condition.Message = fmt.Sprintf("NetworkPolicies are not enforced for the pods of this node, as it may not watch %s%s", forbidden, advice)
	case forbidden != "":
		condition.Status, condition.Reason = corev1.ConditionFalse, "Outdated"
		condition.Message = fmt.Sprintf("NetworkPolicies are enforced as they were before the node lost the right to watch %s%s", forbidden, advice)
	default:
		condition.Status, condition.Reason = corev1.ConditionTrue, "Enforced"
		condition.Message = "NetworkPolicies are enforced for the pods of this node"
	}
	return condition
}

func (c *Cluster) serviceCondition() corev1.NodeCondition {
	condition := corev1.NodeCondition{Type: ConditionServices}
	forbidden := forbiddenOf(c.slices)
	switch {
	case !c.cfg.Services:
		condition.Status, condition.Reason = corev1.ConditionFalse, "LeftToTheKernel"
		condition.Message = "connections to Services are left to kube-proxy on this machine"
	case forbidden != "":
		condition.Status, condition.Reason = corev1.ConditionFalse, "Forbidden"
		condition.Message = fmt.Sprintf("connections to Services lead nowhere, as the node may not watch %s%s", forbidden, advice)
	case c.stopSlices == nil:
		condition.Status, condition.Reason = corev1.ConditionTrue, "NotNeeded"
		condition.Message = "no pod of this node may connect to something"
	default:
		condition.Status, condition.Reason = corev1.ConditionTrue, "Led"
		condition.Message = "this node leads connections of its pods to Services"
	}
	return condition
}

// forbiddenOf are the kinds that the node may not watch, or empty.
func forbiddenOf(kinds ...*kind) string {
	var names []string
	for _, k := range kinds {
		if k.forbidden {
			names = append(names, k.resource)
		}
	}
	return strings.Join(names, ", ")
}
