package podsync

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	scheduling "k8s.io/component-helpers/scheduling/corev1"

	"github.com/krustlet-go/krustlet-wasi/node"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// consumption is a pod's or container's use of the resource that the node is short of, and its
// request for it.
type consumption struct {
	used, request int64
	more          bool // not all of the use could be counted
}

// beyond is how much the use exceeds the request.
func (c consumption) beyond() int64 { return c.used - c.request }

// candidate is a pod that may be evicted.
type candidate struct {
	loop *podLoop
	pod  *corev1.Pod
	consumption
	containers map[string]consumption // empty if the resource is not counted by containers
}

// rank sorts pods in the order in which they are evicted, as a kubelet does. First come pods that
// use more than they request, then those of lower priority, then those that use the most beyond
// their requests. Pods whose use could not be counted come before all others. Threads are not
// counted by pods.
func rank(signal node.Signal, pods []candidate) {
	priority := func(c candidate) int32 { return scheduling.PodPriority(c.pod) }
	exceeds := func(c candidate) int {
		switch {
		case c.more:
			return 0
		case c.beyond() > 0:
			return 1
		}
		return 2
	}
	slices.SortFunc(pods, func(a, b candidate) int {
		byUse, byAmount := cmp.Compare(exceeds(a), exceeds(b)), cmp.Compare(b.beyond(), a.beyond())
		if signal == node.PIDAvailable {
			byUse, byAmount = 0, 0
		}
		return cmp.Or(byUse, cmp.Compare(priority(a), priority(b)), byAmount,
			cmp.Compare(a.pod.Namespace, b.pod.Namespace), cmp.Compare(a.pod.Name, b.pod.Name))
	})
}

// lowMessage says, in the kubelet's words, why a pod is evicted.
func lowMessage(short node.Shortage, c candidate) string {
	var text strings.Builder
	fmt.Fprintf(&text, "The node was low on resource: %s. Threshold quantity: %s, available: %s. ", short.Resource, &short.Threshold, &short.Available)
	for _, of := range podspec.Containers(c.pod) {
		if part, known := c.containers[of.Name]; known && (part.more || part.beyond() > 0) {
			atLeast := ""
			if part.more {
				atLeast = "more than "
			}
			fmt.Fprintf(&text, "Container %s was using %s%s, request is %s, has larger consumption of %s. ", of.Name, atLeast, inBytes(part.used), inBytes(part.request), short.Resource)
		}
	}
	return text.String()
}

func inBytes(n int64) *resource.Quantity { return resource.NewQuantity(n, resource.BinarySI) }
