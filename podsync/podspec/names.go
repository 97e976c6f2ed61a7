package podspec

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Hostname is the hostname that a pod sees as its own.
func Hostname(pod *corev1.Pod) string {
	if other := pod.Spec.HostnameOverride; other != nil {
		return *other
	}
	name := pod.Spec.Hostname
	if name == "" {
		name = pod.Name
	}
	if len(name) > 63 { // Linux allows 63 characters; a name must not end with - or .
		name = strings.TrimRight(name[:63], "-.")
	}
	return name
}

// Domain is the domain of a pod that has a subdomain and no other hostname. Otherwise it is empty.
func Domain(pod *corev1.Pod, services string) string {
	if pod.Spec.Subdomain == "" || pod.Spec.HostnameOverride != nil {
		return ""
	}
	return fmt.Sprintf("%s.%s.svc.%s", pod.Spec.Subdomain, pod.Namespace, services)
}
