package admit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// UserNamespace returns an error if a pod wants a user namespace of its own: hostUsers is false.
func UserNamespace(pod *corev1.Pod) error {
	if pod.Spec.HostUsers == nil || *pod.Spec.HostUsers {
		return nil
	}
	return errors.New("can't set `spec.hostUsers: false`, runtime does not support user namespaces")
}

// Container returns an error if the security context of a container forbids it to run. imageUser is
// the user that its image names: a number or a name. A colon and a group may follow.
func Container(pod *corev1.Pod, c *corev1.Container, imageUser string) error {
	own := c.SecurityContext
	if own == nil {
		own = &corev1.SecurityContext{}
	}
	nonRoot, user := own.RunAsNonRoot, own.RunAsUser
	if all := pod.Spec.SecurityContext; all != nil {
		if nonRoot == nil {
			nonRoot = all.RunAsNonRoot
		}
		if user == nil {
			user = all.RunAsUser
		}
	}
	if !ptr.Deref(nonRoot, false) {
		return nil
	}
	where := fmt.Sprintf("(pod: %q, container: %s)", fmt.Sprintf("%s_%s(%s)", pod.Name, pod.Namespace, pod.UID), c.Name)
	if user != nil {
		if *user == 0 {
			return fmt.Errorf("container's runAsUser breaks non-root policy %s", where)
		}
		return nil
	}
	name, _, _ := strings.Cut(imageUser, ":")
	number, err := strconv.ParseInt(name, 10, 64)
	switch {
	case name == "" || err == nil && number == 0: // an image without a user runs as root
		return fmt.Errorf("container has runAsNonRoot and image will run as root %s", where)
	case err != nil:
		return fmt.Errorf("container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root %s", name, where)
	}
	return nil
}
