package podspec

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Annotations on a pod, for all of its containers. Those whose images are no HTTP handlers look
// only at configAnnotation.
const (
	httpAnnotations  = "krustlet-wasi.dev/http-" // all that begin with it are in httpSettings
	tlsAnnotation    = httpAnnotations + "tls"
	configAnnotation = "krustlet-wasi.dev/config"
)

// longestValue bounds the value of a setting, in bytes. No value that is right is as long.
const longestValue = 32

// mostConfigVolumes bounds how many volumes configAnnotation names.
const mostConfigVolumes = 32

// HTTP is what a pod's annotations say of its HTTP handlers.
type HTTP struct {
	Settings    runtime.HTTP // without addresses and certificate
	Certificate string       // the volume with tls.crt and tls.key; empty for no TLS
	Config      []string     // volumes whose files are the configuration of guests
}

// HTTPOf reads a pod's annotations. The error says which annotation is wrong, and what it must be.
// It does not have the value, because events show it to more users than the pod.
func HTTPOf(pod *corev1.Pod) (HTTP, error) {
	var h HTTP
	for _, name := range slices.Sorted(maps.Keys(pod.Annotations)) {
		if !strings.HasPrefix(name, httpAnnotations) || name == tlsAnnotation {
			continue
		}
		if err := SetHTTP(&h.Settings, strings.TrimPrefix(name, httpAnnotations), pod.Annotations[name]); err != nil {
			return HTTP{}, fmt.Errorf("reading annotation %s: %w", name, err)
		}
	}
	if name, is := pod.Annotations[tlsAnnotation]; is {
		ofKind := func(v *corev1.Volume) bool { return v.Secret != nil || v.Projected != nil }
		if err := named(pod, name, ofKind); err != nil {
			return HTTP{}, fmt.Errorf("reading annotation %s: it must name a volume of the pod with a Secret, or a projected one, that has tls.crt and tls.key: %w", tlsAnnotation, err)
		}
		h.Certificate = name
	}
	h.Config = configVolumes(pod)
	for _, name := range h.Config {
		ofKind := func(v *corev1.Volume) bool {
			return v.ConfigMap != nil || v.Secret != nil || v.Projected != nil || v.DownwardAPI != nil
		}
		if err := named(pod, name, ofKind); err != nil {
			return HTTP{}, fmt.Errorf("reading annotation %s: it must have names of volumes of the pod with a ConfigMap, a Secret or downwardAPI, or of projected ones, with commas between them: %w", configAnnotation, err)
		}
	}
	if len(h.Config) > mostConfigVolumes {
		return HTTP{}, fmt.Errorf("reading annotation %s: it must have at most %d names", configAnnotation, mostConfigVolumes)
	}
	return h, nil
}

// SetHTTP sets what the annotation krustlet-wasi.dev/http-NAME sets. The error does not have the
// value.
func SetHTTP(h *runtime.HTTP, name, value string) error {
	setting, known := httpSettings[name]
	if !known {
		return errors.New("there is no setting of this name")
	}
	if len(value) > longestValue || !setting.set(h, value) {
		return fmt.Errorf("it must be %s", setting.want)
	}
	return nil
}

// HTTPSettings are the names that SetHTTP knows, in their order.
func HTTPSettings() []string { return slices.Sorted(maps.Keys(httpSettings)) }

// configVolumes are the names in configAnnotation.
func configVolumes(pod *corev1.Pod) []string {
	text, is := pod.Annotations[configAnnotation]
	if !is {
		return nil
	}
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		names = append(names, strings.TrimSpace(name))
	}
	return names
}

// named returns an error unless a pod has a volume of this name that ofKind accepts.
func named(pod *corev1.Pod, name string, ofKind func(*corev1.Volume) bool) error {
	if len(validation.IsDNS1123Label(name)) > 0 {
		return errors.New("no volume can have such a name")
	}
	for i := range pod.Spec.Volumes {
		switch v := &pod.Spec.Volumes[i]; {
		case v.Name != name:
		case ofKind(v):
			return nil
		default:
			return fmt.Errorf("volume %q is of another kind", name)
		}
	}
	return fmt.Errorf("the pod has no volume %q", name)
}

// NamedVolumes are the names of volumes in a pod's annotations. They may be wrong: HTTPOf and
// EgressOf check them.
func NamedVolumes(pod *corev1.Pod) []string {
	names := append(configVolumes(pod), rootVolumes(pod)...)
	if name, is := pod.Annotations[tlsAnnotation]; is {
		names = append(names, name)
	}
	return names
}

// httpSetting is an annotation with a value.
type httpSetting struct {
	want string // what the value must be
	set  func(h *runtime.HTTP, value string) bool
}

// httpSettings are the annotations with values, by the rest of their names.
var httpSettings = map[string]httpSetting{
	"instances":          number(1024, func(h *runtime.HTTP) *int { return &h.Instances }),
	"requests":           number(1000, func(h *runtime.HTTP) *int { return &h.Requests }),
	"reuse":              number(1_000_000_000, func(h *runtime.HTTP) *int { return &h.Reuse }),
	"queue":              number(65536, func(h *runtime.HTTP) *int { return &h.Queue }),
	"connections":        number(65536, func(h *runtime.HTTP) *int { return &h.Connections }),
	"queue-timeout":      duration(func(h *runtime.HTTP) *time.Duration { return &h.QueueTimeout }),
	"header-timeout":     duration(func(h *runtime.HTTP) *time.Duration { return &h.HeaderTimeout }),
	"idle-timeout":       duration(func(h *runtime.HTTP) *time.Duration { return &h.IdleTimeout }),
	"first-byte-timeout": duration(func(h *runtime.HTTP) *time.Duration { return &h.FirstByteTimeout }),
	"timeout":            duration(func(h *runtime.HTTP) *time.Duration { return &h.Timeout }),
	"stall-timeout":      duration(func(h *runtime.HTTP) *time.Duration { return &h.StallTimeout }),
	"max-header":         size("1Ki", "1Mi", "64Ki", func(h *runtime.HTTP) *int64 { return &h.MaxHeader }),
	"max-body":           size("1", "1Ti", "10Mi", func(h *runtime.HTTP) *int64 { return &h.MaxBody }),
	"access-log":         choice(func(h *runtime.HTTP) *bool { return &h.AccessLog }),
	"mark-lines":         choice(func(h *runtime.HTTP) *bool { return &h.MarkLines }),
}

func number(most int, field func(*runtime.HTTP) *int) httpSetting {
	return httpSetting{fmt.Sprintf("a whole number from 1 to %d", most), func(h *runtime.HTTP, value string) bool {
		n, ok := digits(value)
		*field(h) = n
		return ok && n >= 1 && n <= most
	}}
}

// digits is the value of decimal digits without a sign. It has at most ten.
func digits(text string) (n int, ok bool) {
	for _, d := range []byte(text) {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = n*10 + int(d-'0')
	}
	return n, text != "" && len(text) <= 10
}

func duration(field func(*runtime.HTTP) *time.Duration) httpSetting {
	return httpSetting{"a duration from 1ms to 24h, such as 30s", func(h *runtime.HTTP, value string) bool {
		d, err := time.ParseDuration(value)
		*field(h) = d
		return err == nil && d >= time.Millisecond && d <= 24*time.Hour
	}}
}

// plainSize is a quantity without sign, fraction and exponent.
var plainSize = regexp.MustCompile(`^[0-9]{1,15}(k|M|G|T|Ki|Mi|Gi|Ti)?$`)

func size(least, most, example string, field func(*runtime.HTTP) *int64) httpSetting {
	low, high := resource.MustParse(least), resource.MustParse(most)
	return httpSetting{fmt.Sprintf("a number of bytes from %s to %s, such as %s", least, most, example), func(h *runtime.HTTP, value string) bool {
		// ParseQuantity would count for hours with an exponent such as e999999999.
		if !plainSize.MatchString(value) {
			return false
		}
		q, err := resource.ParseQuantity(value)
		if err != nil || q.Cmp(low) < 0 || q.Cmp(high) > 0 {
			return false
		}
		*field(h) = q.Value()
		return true
	}}
}

func choice(field func(*runtime.HTTP) *bool) httpSetting {
	return httpSetting{`"true" or "false"`, func(h *runtime.HTTP, value string) bool {
		*field(h) = value == "true"
		return value == "true" || value == "false"
	}}
}
