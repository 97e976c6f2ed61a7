package podspec

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Annotations on a pod about where its guests connect to. limitAnnotation is one of a Namespace: a
// ceiling for all of its pods.
const (
	egressAnnotation = "krustlet-wasi.dev/egress"
	auditAnnotation  = "krustlet-wasi.dev/egress-audit"
	rootsAnnotation  = "krustlet-wasi.dev/egress-roots"
	limitAnnotation  = "krustlet-wasi.dev/egress-limit"
)

// mostRootVolumes bounds how many volumes rootsAnnotation names.
const mostRootVolumes = 8

// Egress is what a pod's annotations say of where its guests connect to.
type Egress struct {
	Given bool   // there is a list
	List  string // not checked: package runtime/egress does that
	Audit bool
	Roots []string // volumes whose files are certificates of authorities
	// MaxRequests bounds the HTTP requests of a guest that are under way; 0: the pod does not say.
	MaxRequests int
}

// EgressOf reads a pod's annotations, and those of Krustlet, whose domains come after the list. The
// error says which one is wrong, and what it must be.
func EgressOf(pod *corev1.Pod) (e Egress, err error) {
	e.List, e.Given = pod.Annotations[egressAnnotation]
	switch value, is := pod.Annotations[auditAnnotation]; {
	case is && value != "true" && value != "false":
		return Egress{}, fmt.Errorf(`reading annotation %s: it must be "true" or "false"`, auditAnnotation)
	default:
		e.Audit = value == "true"
	}
	krustlet, err := KrustletHTTPOf(pod)
	if err != nil {
		return Egress{}, err
	}
	e.MaxRequests = krustlet.MaxRequests
	if krustlet.Given {
		e.List, e.Given = strings.TrimPrefix(e.List+","+krustlet.List, ","), true
	}
	e.Roots = rootVolumes(pod)
	if len(e.Roots) > mostRootVolumes {
		return Egress{}, fmt.Errorf("reading annotation %s: it must have at most %d names", rootsAnnotation, mostRootVolumes)
	}
	for _, name := range e.Roots {
		ofKind := func(v *corev1.Volume) bool { return v.ConfigMap != nil || v.Secret != nil || v.Projected != nil }
		if err := named(pod, name, ofKind); err != nil {
			return Egress{}, fmt.Errorf("reading annotation %s: it must have names of volumes of the pod with a ConfigMap or a Secret, or of projected ones, with commas between them: %w", rootsAnnotation, err)
		}
	}
	return e, nil
}

// EgressAnnotation is the annotation with a pod's list, for messages.
func EgressAnnotation() string { return egressAnnotation }

// EgressLimit is the ceiling that a Namespace sets for its pods, and the name of its annotation.
func EgressLimit(ns *corev1.Namespace) (annotation, list string, given bool) {
	list, given = ns.Annotations[limitAnnotation]
	return limitAnnotation, list, given
}

// rootVolumes are the names in rootsAnnotation.
func rootVolumes(pod *corev1.Pod) (names []string) {
	text, is := pod.Annotations[rootsAnnotation]
	if !is {
		return nil
	}
	for name := range strings.SplitSeq(text, ",") {
		names = append(names, strings.TrimSpace(name))
	}
	return names
}

// NamedPorts are all ports that a pod's containers name, of the protocols that guests have.
func NamedPorts(pod *corev1.Pod) (ports []runtime.Port) {
	for _, c := range Containers(pod) {
		for _, p := range c.Ports {
			port := runtime.Port{Number: uint16(p.ContainerPort)} //nolint:gosec // the API server checks the range
			switch Protocol(p) {
			case corev1.ProtocolTCP:
			case corev1.ProtocolUDP:
				port.Protocol = runtime.UDP
			default:
				continue
			}
			ports = append(ports, port)
		}
	}
	return ports
}
