// Package events has the words of the events about pods. They are the kubelet's, which users and
// tools know.
package events

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Event is an event about a pod or a container, for `kubectl describe` and others.
type Event struct {
	Kind    string // corev1.EventTypeNormal or corev1.EventTypeWarning
	Reason  string
	Message string
}

// Normal is an event about something that goes as expected.
func Normal(reason, message string) Event { return Event{corev1.EventTypeNormal, reason, message} }

// Warning is an event about a problem.
func Warning(reason, message string) Event { return Event{corev1.EventTypeWarning, reason, message} }

func Pulling(image string) Event {
	return Event{corev1.EventTypeNormal, "Pulling", fmt.Sprintf("Pulling image %q", image)}
}

func Pulled(image string, took, waited time.Duration, size int64) Event {
	return Event{corev1.EventTypeNormal, "Pulled", fmt.Sprintf(
		"Successfully pulled image %q in %v (%v including waiting). Image size: %d bytes.",
		image, took.Truncate(time.Millisecond), waited.Truncate(time.Millisecond), size)}
}

func Present(image string) Event {
	return Event{corev1.EventTypeNormal, "Pulled", fmt.Sprintf("Container image %q already present on machine and can be accessed by the pod", image)}
}

func SecretsMissing(names []string) Event {
	return Event{corev1.EventTypeWarning, "FailedToRetrieveImagePullSecret", fmt.Sprintf(
		"Unable to retrieve some image pull secrets (%s); attempting to pull the image may not succeed.", strings.Join(names, ", "))}
}

func PullFailed(image string, err error) Event {
	return Event{corev1.EventTypeWarning, "Failed", fmt.Sprintf("Failed to pull image %q: %v", image, err)}
}

func Failed(what string) Event {
	return Event{corev1.EventTypeWarning, "Failed", "Error: " + what}
}

func NeverPull(image string) Event {
	return Event{corev1.EventTypeWarning, "ErrImageNeverPull", NeverPullMessage(image)}
}

func NeverPullMessage(image string) string {
	return fmt.Sprintf("Container image %q is not present with pull policy of Never", image)
}

func InvalidImage(image string, err error) Event {
	return Event{corev1.EventTypeWarning, "InspectFailed", fmt.Sprintf("Failed to apply default image tag %q: %v", image, err)}
}

func PullBackOff(image string) Event {
	return Event{corev1.EventTypeNormal, "BackOff", fmt.Sprintf("Back-off pulling image %q", image)}
}

func CrashBackOff(pod *corev1.Pod, container string) Event {
	return Event{corev1.EventTypeWarning, "BackOff", fmt.Sprintf(
		"Back-off restarting failed container %s in pod %s_%s(%s)", container, pod.Name, pod.Namespace, pod.UID)}
}

func Created() Event { return Event{corev1.EventTypeNormal, "Created", "Container created"} }
func Started() Event { return Event{corev1.EventTypeNormal, "Started", "Container started"} }

func Stopping(container string) Event { return Killing("Stopping container " + container) }
func RestartingAll(container string) Event {
	return Killing(fmt.Sprintf("Container %s will be restarted with all others of its pod", container))
}
func HookKills() Event { return Killing("FailedPostStartHook") }

func Killing(why string) Event { return Event{corev1.EventTypeNormal, "Killing", why} }

func HookFailed(kind string) Event {
	return Event{corev1.EventTypeWarning, fmt.Sprintf("Failed%sHook", kind), fmt.Sprintf("%sHook failed", kind)}
}

func HTTPFallback(host string) Event {
	return Event{corev1.EventTypeWarning, "LifecycleHTTPFallback", fmt.Sprintf(
		"request to HTTPS lifecycle hook %s got HTTP response, retry with HTTP succeeded", host)}
}

func Unhealthy(kind fmt.Stringer, output string) Event {
	return Event{corev1.EventTypeWarning, "Unhealthy", fmt.Sprintf("%v probe failed: %s", kind, output)}
}

func ProbeErrored(kind fmt.Stringer, err error) Event {
	return Event{corev1.EventTypeWarning, "Unhealthy", fmt.Sprintf("%v probe errored and resulted in unknown state: %v", kind, err)}
}

func ProbeWarning(kind fmt.Stringer, output string) Event {
	return Event{corev1.EventTypeWarning, "ProbeWarning", fmt.Sprintf("%v probe warning: %s", kind, output)}
}

func SandboxFailed(err error) Event {
	return Event{corev1.EventTypeWarning, "FailedCreatePodSandBox", fmt.Sprintf("Failed to create pod sandbox: %v", err)}
}

func MissingClusterDNS(pod *corev1.Pod) Event {
	return Event{corev1.EventTypeWarning, "MissingClusterDNS", fmt.Sprintf(
		"pod: %q. kubelet does not have ClusterDNS IP configured and cannot create Pod using %q policy. Falling back to %q policy.",
		fmt.Sprintf("%s_%s(%s)", pod.Name, pod.Namespace, pod.UID), corev1.DNSClusterFirst, corev1.DNSDefault)}
}

func DNSConfig(what string) Event {
	return Event{corev1.EventTypeWarning, "DNSConfigForming", what}
}

func MountFailed(err error) Event {
	return Event{corev1.EventTypeWarning, "FailedMount", err.Error()}
}
