package environ

import (
	"fmt"
	"net/netip"
	"sort"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// Field is the value of a pod's field for its own containers.
func Field(pod *corev1.Pod, path string, at podspec.Reach) (string, error) {
	if name, key, ok := subscripted(path); ok {
		return keyedField(pod, name, key)
	}
	switch path {
	case "metadata.name":
		return pod.Name, nil
	case "metadata.namespace":
		return pod.Namespace, nil
	case "metadata.uid":
		return string(pod.UID), nil
	case "metadata.labels":
		return formatMap(pod.Labels), nil
	case "metadata.annotations":
		return formatMap(pod.Annotations), nil
	case "spec.nodeName", "spec.host":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.hostIP", "status.hostIPs":
		return at.Host.String(), nil
	case "status.podIP":
		return joined(at.Pod[:min(1, len(at.Pod))]), nil
	case "status.podIPs":
		return joined(at.Pod), nil
	}
	return "", fmt.Errorf("unsupported fieldPath: %s", path)
}

func joined(addresses []netip.Addr) string {
	text := make([]string, 0, len(addresses))
	for _, a := range addresses {
		text = append(text, a.String())
	}
	return strings.Join(text, ",")
}

func keyedField(pod *corev1.Pod, name, key string) (string, error) {
	values, check := pod.Labels, key
	switch name {
	case "metadata.labels":
	case "metadata.annotations":
		values, check = pod.Annotations, strings.ToLower(key)
	default:
		return "", fmt.Errorf("fieldPath %q does not support subscript", name+"['"+key+"']")
	}
	if problems := validation.IsQualifiedName(check); len(problems) > 0 {
		return "", fmt.Errorf("invalid key subscript in %s['%s']: %s", name, key, strings.Join(problems, ";"))
	}
	return values[key], nil
}

// subscripted splits NAME['KEY'].
func subscripted(path string) (name, key string, ok bool) {
	rest, ok := strings.CutSuffix(path, "']")
	if !ok {
		return "", "", false
	}
	name, key, ok = strings.Cut(rest, "['")
	return name, key, ok && name != ""
}

// formatMap has a line KEY="VALUE" for each entry, in the order of keys.
func formatMap(m map[string]string) string {
	lines := make([]string, 0, len(m))
	for key, value := range m {
		lines = append(lines, key+"="+strconv.Quote(value))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// Resource is a request or limit of a container of the pod. The container is self, unless ref names
// another one. The result is in units of ref's divisor, rounded up. If there is no limit, the
// result is the limit of the whole pod, or else what the node gives to pods.
func Resource(pod *corev1.Pod, self *corev1.Container, ref *corev1.ResourceFieldSelector, allocatable corev1.ResourceList) (string, error) {
	c := self
	if ref.ContainerName != "" {
		if c = podspec.Container(pod, ref.ContainerName); c == nil {
			return "", fmt.Errorf("container %s not found", ref.ContainerName)
		}
	}
	kind, name, _ := strings.Cut(ref.Resource, ".")
	resourceName := corev1.ResourceName(name)
	var from corev1.ResourceList
	switch kind {
	case "limits":
		from = c.Resources.Limits
	case "requests":
		from = c.Resources.Requests
	}
	huge := strings.HasPrefix(name, corev1.ResourceHugePagesPrefix)
	switch {
	case kind != "limits" && kind != "requests":
		return "", fmt.Errorf("unsupported container resource : %s", ref.Resource)
	case !huge && resourceName != corev1.ResourceCPU && resourceName != corev1.ResourceMemory && resourceName != corev1.ResourceEphemeralStorage:
		return "", fmt.Errorf("unsupported container resource : %s", ref.Resource)
	}
	value := from[resourceName]
	if kind == "limits" && value.IsZero() && !huge {
		value = defaultLimit(pod, resourceName, allocatable)
	}
	return inUnits(value, ref.Divisor, resourceName == corev1.ResourceCPU), nil
}

func defaultLimit(pod *corev1.Pod, name corev1.ResourceName, allocatable corev1.ResourceList) resource.Quantity {
	if pod.Spec.Resources != nil {
		if value := pod.Spec.Resources.Limits[name]; !value.IsZero() {
			return value
		}
	}
	return allocatable[name]
}

// inUnits divides, and rounds up. Processors are counted in thousandths.
func inUnits(value, divisor resource.Quantity, milli bool) string {
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	v, d := value.Value(), divisor.Value()
	if milli {
		v, d = value.MilliValue(), divisor.MilliValue()
	}
	units := v / d
	if v%d > 0 {
		units++
	}
	return strconv.FormatInt(units, 10)
}
