package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestEnvironmentSources: all sources of a container's environment.
func TestEnvironmentSources(t *testing.T) {
	s := newSuite(t, "")
	for name, test := range map[string]func(*testing.T, *suite){
		"Values":   testEnvironmentValues,
		"Downward": testEnvironmentDownward,
		"Services": testEnvironmentServices,
		"Missing":  testEnvironmentMissing,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

func (s *suite) createConfigMap(t *testing.T, namespace, name string, data map[string]string) {
	t.Helper()
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}
	if _, err := s.client().CoreV1().ConfigMaps(namespace).Create(context.Background(), object, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (s *suite) createSecret(t *testing.T, namespace, name string, data map[string]string) {
	t.Helper()
	object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: data}
	if _, err := s.client().CoreV1().Secrets(namespace).Create(context.Background(), object, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// printsEnvironment is a pod that prints its environment and ends.
func (s *suite) printsEnvironment(name string) *corev1.Pod {
	pod := s.pod(name, s.kitchen, "env")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	return pod
}

func hasLines(t *testing.T, log string, want ...string) {
	t.Helper()
	for _, line := range want {
		if !strings.Contains("\n"+log, "\n"+line+"\n") {
			t.Errorf("no line %q in:\n%s", line, log)
		}
	}
}

func configMapRef(name string) corev1.LocalObjectReference {
	return corev1.LocalObjectReference{Name: name}
}

func testEnvironmentValues(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	s.createConfigMap(t, ns, "settings", map[string]string{"COLOUR": "blue", "size.unit": "m"})
	s.createSecret(t, ns, "hidden", map[string]string{"PASSWORD": "hush"})
	yes := true
	pod := s.printsEnvironment("values")
	c := &pod.Spec.Containers[0]
	c.EnvFrom = []corev1.EnvFromSource{
		{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: configMapRef("settings")}},
		{Prefix: "SECRET_", SecretRef: &corev1.SecretEnvSource{LocalObjectReference: configMapRef("hidden")}},
		{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: configMapRef("none"), Optional: &yes}},
	}
	c.Env = []corev1.EnvVar{
		{Name: "SHADE", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: configMapRef("settings"), Key: "COLOUR"}}},
		{Name: "KEY", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: configMapRef("hidden"), Key: "PASSWORD"}}},
		{Name: "ABSENT", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: configMapRef("hidden"), Key: "none", Optional: &yes}}},
		{Name: "BOTH", Value: "dark $(SHADE), $(SECRET_PASSWORD)"},
	}
	s.create(t, ns, pod)
	log := s.finalLog(t, ns, "values", corev1.PodSucceeded)
	hasLines(t, log, "COLOUR=blue", "size.unit=m", "SECRET_PASSWORD=hush", "SHADE=blue", "KEY=hush", "BOTH=dark blue, hush", "HOSTNAME=values")
	if strings.Contains(log, "ABSENT") {
		t.Errorf("an optional key that is not there is set:\n%s", log)
	}
}

func testEnvironmentDownward(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.printsEnvironment("downward")
	pod.Labels, pod.Annotations = map[string]string{"app": "x"}, map[string]string{"x.test/note": "n"}
	c := &pod.Spec.Containers[0]
	c.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")}
	for name, path := range map[string]string{
		"NAME": "metadata.name", "NS": "metadata.namespace", "UID": "metadata.uid", "LABEL": "metadata.labels['app']",
		"NOTE": "metadata.annotations['x.test/note']", "NODE": "spec.nodeName", "ACCOUNT": "spec.serviceAccountName",
		"HOST_IP": "status.hostIP", "POD_IP": "status.podIP", "POD_IPS": "status.podIPs",
	} {
		c.Env = append(c.Env, corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}})
	}
	for name, ref := range map[string]corev1.ResourceFieldSelector{
		"MEMORY": {Resource: "limits.memory", Divisor: resource.MustParse("1Mi")},
		"CPU":    {Resource: "limits.cpu"},
	} {
		c.Env = append(c.Env, corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &ref}})
	}
	pod = s.create(t, ns, pod)
	node, err := s.client().CoreV1().Nodes().Get(context.Background(), s.node.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	log := s.finalLog(t, ns, "downward", corev1.PodSucceeded)
	now, err := s.get(ns, "downward")
	if err != nil {
		t.Fatal(err)
	}
	hasLines(t, log, "NAME=downward", "NS="+ns, "UID="+string(pod.UID), "LABEL=x", "NOTE=n", "NODE="+s.node.Name, "ACCOUNT=default",
		"HOST_IP="+s.node.IP, "POD_IP="+now.Status.PodIP, "POD_IPS="+now.Status.PodIP, "MEMORY=64",
		fmt.Sprintf("CPU=%d", node.Status.Allocatable.Cpu().Value()))
}

func testEnvironmentServices(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	service, err := s.client().CoreV1().Services(ns).Create(context.Background(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "my-db"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "sql", Port: 5432}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	no := false
	s.create(t, ns, s.printsEnvironment("links"))
	pod := s.printsEnvironment("no-links")
	pod.Spec.EnableServiceLinks = &no
	s.create(t, ns, pod)
	ip := service.Spec.ClusterIP
	log := s.finalLog(t, ns, "links", corev1.PodSucceeded)
	hasLines(t, log, "MY_DB_SERVICE_HOST="+ip, "MY_DB_SERVICE_PORT=5432", "MY_DB_SERVICE_PORT_SQL=5432",
		"MY_DB_PORT_5432_TCP=tcp://"+ip+":5432", "KUBERNETES_SERVICE_PORT=443")
	log = s.finalLog(t, ns, "no-links", corev1.PodSucceeded)
	hasLines(t, log, "KUBERNETES_SERVICE_PORT=443")
	if strings.Contains(log, "MY_DB") {
		t.Errorf("without service links:\n%s", log)
	}
}

// testEnvironmentMissing: a container waits for a source that it needs, and starts when the source
// exists.
func testEnvironmentMissing(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.printsEnvironment("waits")
	pod.Spec.Containers[0].Env = []corev1.EnvVar{
		{Name: "A", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: configMapRef("late"), Key: "a"}}},
	}
	pod = s.create(t, ns, pod)
	awaitMessage := func(want string) {
		t.Helper()
		s.await(t, ns, "waits", func(p *corev1.Pod) error {
			c := p.Status.ContainerStatuses
			if len(c) != 1 || c[0].State.Waiting == nil || c[0].State.Waiting.Reason != "CreateContainerConfigError" || c[0].State.Waiting.Message != want {
				return errors.New("does not wait with CreateContainerConfigError: " + want)
			}
			return nil
		})
	}
	awaitMessage(`configmap "late" not found`)
	s.awaitEvents(t, pod, `Failed Error: configmap "late" not found`)
	s.createConfigMap(t, ns, "late", map[string]string{"b": "1"})
	awaitMessage("couldn't find key a in ConfigMap " + ns + "/late")
	s.cluster.Kubectl(t, "patch", "configmap", "-n", ns, "late", "-p", `{"data":{"a":"here"}}`)
	hasLines(t, s.finalLog(t, ns, "waits", corev1.PodSucceeded), "A=here")
}
