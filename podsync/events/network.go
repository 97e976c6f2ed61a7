package events

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// NetworkDenied is about a connection or a lookup that was refused, or would have been. The target
// must be fit to be shown.
func NetworkDenied(d runtime.Denial) Event {
	what := "Connection to " + d.Target
	if d.Ingress {
		what = "Connection from " + d.Target
	}
	if d.Audited {
		return Event{corev1.EventTypeNormal, "NetworkAudited", what + " would be refused without the audit: " + denier(d)}
	}
	return Event{corev1.EventTypeWarning, "NetworkDenied", what + " was refused: " + denier(d)}
}

func denier(d runtime.Denial) string {
	switch d.By {
	case runtime.ByEgress:
		return "the pod's list of egress does not have it (annotation krustlet-wasi.dev/egress, or --default-egress of the node)"
	case runtime.ByLimit:
		return "it is beyond the limit of egress of the node (--egress-limit) or of the namespace (annotation krustlet-wasi.dev/egress-limit)"
	}
	if d.Ingress {
		return "no NetworkPolicy allows it, of ingress for this pod"
	}
	return "no NetworkPolicy allows it, of egress for this pod or of ingress for the pod at the other end"
}

// TooManyDenied says that there will be no more such events about a pod.
func TooManyDenied() Event {
	return Event{corev1.EventTypeWarning, "NetworkDenied", fmt.Sprintf("More connections are refused; there will be no events about them. The metric %s counts all of them", DeniedMetric)}
}

// DeniedMetric is the name of the metric of refused connections.
const DeniedMetric = "krustlet_wasi_network_denied_total"
