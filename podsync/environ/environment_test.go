package environ

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// shelf has ConfigMaps and Secrets by name.
type shelf struct {
	configMaps map[string]map[string]string
	secrets    map[string]map[string]string
	err        error // the error of every read
}

func (s shelf) FreshConfigMap(_ context.Context, _, name string) (*corev1.ConfigMap, error) {
	data, ok := s.configMaps[name]
	switch {
	case s.err != nil:
		return nil, s.err
	case !ok:
		return nil, apierrors.NewNotFound(corev1.Resource("configmaps"), name)
	}
	return &corev1.ConfigMap{Data: data}, nil
}

func (s shelf) FreshSecret(_ context.Context, _, name string) (*corev1.Secret, error) {
	data, ok := s.secrets[name]
	if !ok {
		return nil, apierrors.NewNotFound(corev1.Resource("secrets"), name)
	}
	secret := &corev1.Secret{Data: map[string][]byte{}}
	for key, value := range data {
		secret.Data[key] = []byte(value)
	}
	return secret, nil
}

func somewhere() Sources {
	return Sources{
		Objects: shelf{
			configMaps: map[string]map[string]string{"cm": {"one": "1", "two": "2", "with.dot": "3"}},
			secrets:    map[string]map[string]string{"s": {"key": "hush", "one": "I"}},
		},
		Services:    []*corev1.Service{service("default", "kubernetes", "10.0.0.1", 443)},
		Reach:       podspec.Reach{Host: testpod.NodeAddress, Pod: []netip.Addr{netip.MustParseAddr("127.0.0.10"), netip.MustParseAddr("fd00::10")}},
		Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("1Gi")},
	}
}

func service(namespace, name, ip string, ports ...int32) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.ServiceSpec{ClusterIP: ip}}
	for _, p := range ports {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Port: p, Protocol: corev1.ProtocolTCP})
	}
	return s
}

func variable(name, value string) corev1.EnvVar { return corev1.EnvVar{Name: name, Value: value} }

func configMapKey(name, object, key string, optional bool) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: object}, Key: key, Optional: &optional,
	}}}
}

func secretKey(name, object, key string, optional bool) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: object}, Key: key, Optional: &optional,
	}}}
}

func allOfConfigMap(name, prefix string, optional bool) corev1.EnvFromSource {
	return corev1.EnvFromSource{Prefix: prefix, ConfigMapRef: &corev1.ConfigMapEnvSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: name}, Optional: &optional,
	}}
}

func allOfSecret(name, prefix string, optional bool) corev1.EnvFromSource {
	return corev1.EnvFromSource{Prefix: prefix, SecretRef: &corev1.SecretEnvSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: name}, Optional: &optional,
	}}
}

func TestEnvironment(t *testing.T) {
	for name, tt := range map[string]struct {
		env  []corev1.EnvVar
		from []corev1.EnvFromSource
		want []string // in this order, without the variables of the API server's Service
		fail string
	}{
		"nothing":         {want: []string{"HOSTNAME=p"}},
		"own hostname":    {env: []corev1.EnvVar{variable("HOSTNAME", "me")}, want: []string{"HOSTNAME=me"}},
		"the last counts": {env: []corev1.EnvVar{variable("A", "1"), variable("B", "$(A)"), variable("A", "2$(A)")}, want: []string{"HOSTNAME=p", "B=1", "A=21"}},
		"not yet known":   {env: []corev1.EnvVar{variable("A", "$(B) $(HOSTNAME)"), variable("B", "1")}, want: []string{"HOSTNAME=p", "A=$(B) $(HOSTNAME)", "B=1"}},
		"of a Service":    {env: []corev1.EnvVar{variable("A", "$(KUBERNETES_SERVICE_HOST)")}, want: []string{"HOSTNAME=p", "A=10.0.0.1"}},
		"keys": {env: []corev1.EnvVar{configMapKey("A", "cm", "one", false), secretKey("B", "s", "key", false), variable("C", "$(A)$(B)")},
			want: []string{"HOSTNAME=p", "A=1", "B=hush", "C=1hush"}},
		"optional": {env: []corev1.EnvVar{configMapKey("A", "none", "x", true), configMapKey("B", "cm", "none", true), secretKey("C", "none", "x", true), secretKey("D", "s", "none", true)},
			from: []corev1.EnvFromSource{allOfConfigMap("none", "", true), allOfSecret("none", "", true)}, want: []string{"HOSTNAME=p"}},
		"all, with prefixes": {from: []corev1.EnvFromSource{allOfConfigMap("cm", "", false), allOfSecret("s", "S_", false)},
			want: []string{"HOSTNAME=p", "one=1", "two=2", "with.dot=3", "S_key=hush", "S_one=I"}},
		"the last source counts": {from: []corev1.EnvFromSource{allOfConfigMap("cm", "", false), allOfSecret("s", "", false)}, env: []corev1.EnvVar{variable("two", "$(one)")},
			want: []string{"HOSTNAME=p", "with.dot=3", "key=hush", "one=I", "two=I"}},
		"no ConfigMap":       {env: []corev1.EnvVar{configMapKey("A", "none", "x", false)}, fail: `configmap "none" not found`},
		"no Secret":          {env: []corev1.EnvVar{secretKey("A", "none", "x", false)}, fail: `secret "none" not found`},
		"no such key":        {env: []corev1.EnvVar{configMapKey("A", "cm", "x", false)}, fail: "couldn't find key x in ConfigMap ns/cm"},
		"no key in a Secret": {env: []corev1.EnvVar{secretKey("A", "s", "x", false)}, fail: "couldn't find key x in Secret ns/s"},
		"all of no Secret":   {from: []corev1.EnvFromSource{allOfSecret("none", "", false)}, fail: `secret "none" not found`},
		"all of no map":      {from: []corev1.EnvFromSource{allOfConfigMap("none", "", false)}, fail: `configmap "none" not found`},
		"field":              {env: []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.hostIP"}}}}, want: []string{"HOSTNAME=p", "A=127.0.0.9"}},
		"resource":           {env: []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"}}}}, want: []string{"HOSTNAME=p", "A=2"}},
	} {
		t.Run(name, func(t *testing.T) {
			pod := testpod.New(corev1.RestartPolicyAlways, "a")
			pod.Spec.Containers[0].Env, pod.Spec.Containers[0].EnvFrom = tt.env, tt.from
			env, err := Of(t.Context(), pod, &pod.Spec.Containers[0], somewhere())
			if tt.fail != "" {
				if err == nil || err.Error() != tt.fail {
					t.Errorf("error %v, want %s", err, tt.fail)
				}
				return
			}
			var got []string
			for _, v := range env {
				if !strings.HasPrefix(v.Name, "KUBERNETES_") {
					got = append(got, v.Name+"="+v.Value)
				}
			}
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("%q %v, want %q", got, err, tt.want)
			}
		})
	}
}

// TestOptionalIsNotUnreadable: an object that cannot be read may exist. So the container waits,
// even if the object is optional.
func TestOptionalIsNotUnreadable(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	pod.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{allOfConfigMap("cm", "", true)}
	from := somewhere()
	from.Objects = shelf{err: errors.New("away")}
	if _, err := Of(t.Context(), pod, &pod.Spec.Containers[0], from); err == nil {
		t.Error("an optional ConfigMap that cannot be read is left out")
	}
}

func TestFieldValue(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	pod.Labels = map[string]string{"b": "2", "a": `say "1"`, "x.test/l": "v"}
	pod.Annotations = map[string]string{"k": "line\nline", "x.test/Key": "v"}
	pod.Spec.NodeName, pod.Spec.ServiceAccountName = "node", "account"
	for path, want := range map[string]string{
		"metadata.name":                      "p",
		"metadata.namespace":                 "ns",
		"metadata.uid":                       "u1",
		"metadata.labels":                    "a=\"say \\\"1\\\"\"\nb=\"2\"\nx.test/l=\"v\"",
		"metadata.labels['a']":               `say "1"`,
		"metadata.labels['x.test/l']":        "v",
		"metadata.labels['none']":            "",
		"metadata.annotations":               "k=\"line\\nline\"\nx.test/Key=\"v\"",
		"metadata.annotations['x.test/Key']": "v",
		"spec.nodeName":                      "node",
		"spec.serviceAccountName":            "account",
		"status.hostIP":                      "127.0.0.9",
		"status.hostIPs":                     "127.0.0.9",
		"status.podIP":                       "127.0.0.10",
		"status.podIPs":                      "127.0.0.10,fd00::10",
	} {
		if got, err := Field(pod, path, somewhere().Reach); err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", path, got, err, want)
		}
	}
	for _, path := range []string{"", "metadata", "metadata.labels['", "metadata.labels['a b']", "metadata.labels['']", "metadata.name['a']", "spec.containers", "['a']"} {
		if got, err := Field(pod, path, somewhere().Reach); err == nil {
			t.Errorf("%q is %q", path, got)
		}
	}
}

func TestResourceValue(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "init", "a", "b")
	list := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
	pod.Spec.Containers[0].Resources = corev1.ResourceRequirements{Limits: list("1200m", "100M"), Requests: list("10m", "1Mi")}
	allocatable := somewhere().Allocatable
	for _, tt := range []struct{ container, resource, divisor, want string }{
		{"", "limits.cpu", "", "2"},
		{"", "limits.cpu", "1m", "1200"},
		{"", "limits.memory", "", "100000000"},
		{"", "limits.memory", "1Mi", "96"},
		{"", "requests.cpu", "", "1"},
		{"", "requests.memory", "1Ki", "1024"},
		{"", "requests.ephemeral-storage", "", "0"},
		{"b", "limits.cpu", "1m", "2000"}, // what the node gives to pods
		{"b", "limits.memory", "1Mi", "1024"},
		{"b", "requests.memory", "", "0"},
		{"init", "limits.cpu", "", "2"},
		{"b", "limits.hugepages-2Mi", "", "0"},
	} {
		ref := &corev1.ResourceFieldSelector{ContainerName: tt.container, Resource: tt.resource}
		if tt.divisor != "" {
			ref.Divisor = resource.MustParse(tt.divisor)
		}
		if got, err := Resource(pod, &pod.Spec.Containers[0], ref, allocatable); err != nil || got != tt.want {
			t.Errorf("%+v: %q %v", tt, got, err)
		}
	}
	pod.Spec.Resources = &corev1.ResourceRequirements{Limits: list("500m", "1Gi")}
	if got, err := Resource(pod, &pod.Spec.Containers[1], &corev1.ResourceFieldSelector{Resource: "limits.cpu", Divisor: resource.MustParse("1m")}, allocatable); err != nil || got != "500" {
		t.Errorf("the pod's own limit: %q %v", got, err)
	}
	for _, ref := range []corev1.ResourceFieldSelector{{Resource: "limits.gpu"}, {Resource: "cpu"}, {ContainerName: "none", Resource: "limits.cpu"}} {
		if got, err := Resource(pod, &pod.Spec.Containers[0], &ref, allocatable); err == nil {
			t.Errorf("%+v is %q", ref, got)
		}
	}
}

func TestLinkedServices(t *testing.T) {
	all := []*corev1.Service{
		service("default", "kubernetes", "10.0.0.1", 443),
		service("default", "other", "10.0.0.2", 80),
		service("ns", "mine", "10.0.0.3", 80),
		service("ns", "headless", "None", 80),
		service("ns", "external", ""),
	}
	names := func(namespace string, links bool, more ...*corev1.Service) string {
		var got []string
		for _, s := range Linked(append(slices.Clone(more), all...), namespace, links) {
			got = append(got, s.Namespace+"/"+s.Name)
		}
		return strings.Join(got, " ")
	}
	for want, got := range map[string]string{
		"default/kubernetes ns/mine":       names("ns", true),
		"default/kubernetes":               names("ns", false),
		"default/kubernetes default/other": names("default", true),
		"ns/kubernetes ns/mine":            names("ns", true, service("ns", "kubernetes", "10.0.0.9", 1)),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestServiceVariables(t *testing.T) {
	s := service("ns", "my-db", "fd00::5")
	s.Spec.Ports = []corev1.ServicePort{{Name: "sql-main", Port: 5432}, {Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}}
	var got []string
	for _, v := range serviceVariables(s) {
		got = append(got, v.Name+"="+v.Value)
	}
	want := []string{
		"MY_DB_SERVICE_HOST=fd00::5", "MY_DB_SERVICE_PORT=5432", "MY_DB_SERVICE_PORT_SQL_MAIN=5432", "MY_DB_SERVICE_PORT_DNS=53",
		"MY_DB_PORT=tcp://[fd00::5]:5432",
		"MY_DB_PORT_5432_TCP=tcp://[fd00::5]:5432", "MY_DB_PORT_5432_TCP_PROTO=tcp", "MY_DB_PORT_5432_TCP_PORT=5432", "MY_DB_PORT_5432_TCP_ADDR=fd00::5",
		"MY_DB_PORT_53_UDP=udp://[fd00::5]:53", "MY_DB_PORT_53_UDP_PROTO=udp", "MY_DB_PORT_53_UDP_PORT=53", "MY_DB_PORT_53_UDP_ADDR=fd00::5",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
