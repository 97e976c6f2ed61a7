package podsync

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// event is what is recorded of a container, in the words of the kubelet.
type event struct {
	kind    string // corev1.EventTypeNormal or corev1.EventTypeWarning
	reason  string
	message string
}

func eventPulling(image string) event {
	return event{corev1.EventTypeNormal, "Pulling", fmt.Sprintf("Pulling image %q", image)}
}

func eventPulled(image string, took, waited time.Duration, size int64) event {
	return event{corev1.EventTypeNormal, "Pulled", fmt.Sprintf(
		"Successfully pulled image %q in %v (%v including waiting). Image size: %d bytes.",
		image, took.Truncate(time.Millisecond), waited.Truncate(time.Millisecond), size)}
}

func eventPresent(image string) event {
	return event{corev1.EventTypeNormal, "Pulled", fmt.Sprintf("Container image %q already present on machine and can be accessed by the pod", image)}
}

func eventSecretsMissing(names []string) event {
	return event{corev1.EventTypeWarning, "FailedToRetrieveImagePullSecret", fmt.Sprintf(
		"Unable to retrieve some image pull secrets (%s); attempting to pull the image may not succeed.", strings.Join(names, ", "))}
}

func eventPullFailed(image string, err error) event {
	return event{corev1.EventTypeWarning, "Failed", fmt.Sprintf("Failed to pull image %q: %v", image, err)}
}

func eventFailed(what string) event {
	return event{corev1.EventTypeWarning, "Failed", "Error: " + what}
}

func eventNeverPull(image string) event {
	return event{corev1.EventTypeWarning, "ErrImageNeverPull", neverPullMessage(image)}
}

func neverPullMessage(image string) string {
	return fmt.Sprintf("Container image %q is not present with pull policy of Never", image)
}

func eventInvalidImage(image string, err error) event {
	return event{corev1.EventTypeWarning, "InspectFailed", fmt.Sprintf("Failed to apply default image tag %q: %v", image, err)}
}

func eventPullBackOff(image string) event {
	return event{corev1.EventTypeNormal, "BackOff", fmt.Sprintf("Back-off pulling image %q", image)}
}

func eventCrashBackOff(pod *corev1.Pod, container string) event {
	return event{corev1.EventTypeWarning, "BackOff", fmt.Sprintf(
		"Back-off restarting failed container %s in pod %s_%s(%s)", container, pod.Name, pod.Namespace, pod.UID)}
}

func eventCreated() event { return event{corev1.EventTypeNormal, "Created", "Container created"} }
func eventStarted() event { return event{corev1.EventTypeNormal, "Started", "Container started"} }

func eventStopping(container string) event { return eventKilling("Stopping container " + container) }
func eventRestartingAll(container string) event {
	return eventKilling(fmt.Sprintf("Container %s will be restarted with all others of its pod", container))
}
func eventHookKills() event { return eventKilling("FailedPostStartHook") }

func eventKilling(why string) event { return event{corev1.EventTypeNormal, "Killing", why} }

func eventHookFailed(kind hookKind) event {
	return event{corev1.EventTypeWarning, fmt.Sprintf("Failed%sHook", kind), fmt.Sprintf("%sHook failed", kind)}
}

func eventHTTPFallback(host string) event {
	return event{corev1.EventTypeWarning, "LifecycleHTTPFallback", fmt.Sprintf(
		"request to HTTPS lifecycle hook %s got HTTP response, retry with HTTP succeeded", host)}
}

func eventUnhealthy(kind probeKind, output string) event {
	return event{corev1.EventTypeWarning, "Unhealthy", fmt.Sprintf("%v probe failed: %s", kind, output)}
}

func eventProbeErrored(kind probeKind, err error) event {
	return event{corev1.EventTypeWarning, "Unhealthy", fmt.Sprintf("%v probe errored and resulted in unknown state: %v", kind, err)}
}

func eventProbeWarning(kind probeKind, output string) event {
	return event{corev1.EventTypeWarning, "ProbeWarning", fmt.Sprintf("%v probe warning: %s", kind, output)}
}

func eventSandboxFailed(err error) event {
	return event{corev1.EventTypeWarning, "FailedCreatePodSandBox", fmt.Sprintf("Failed to create pod sandbox: %v", err)}
}

func eventMissingClusterDNS(pod *corev1.Pod) event {
	return event{corev1.EventTypeWarning, "MissingClusterDNS", fmt.Sprintf(
		"pod: %q. kubelet does not have ClusterDNS IP configured and cannot create Pod using %q policy. Falling back to %q policy.",
		fmt.Sprintf("%s_%s(%s)", pod.Name, pod.Namespace, pod.UID), corev1.DNSClusterFirst, corev1.DNSDefault)}
}

func eventDNSConfig(what string) event {
	return event{corev1.EventTypeWarning, "DNSConfigForming", what}
}

func eventMountFailed(err error) event {
	return event{corev1.EventTypeWarning, "FailedMount", err.Error()}
}
