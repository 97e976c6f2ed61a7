package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/krustlet-go/krustlet-wasi/hack/authority"
	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// testHTTPTLS: a handler is served by TLS with the certificate of a Secret of its pod. New
// connections get the new certificate when the Secret changes.
func testHTTPTLS(t *testing.T, s *suite, images map[string]string) {
	ns := s.cluster.Namespace(t)
	signs := authority.New(t, "handlers")
	first, second := signs.Sign(t, x509.ExtKeyUsageServerAuth, "first"), signs.Sign(t, x509.ExtKeyUsageServerAuth, "second")
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "pair"}, Type: corev1.SecretTypeTLS}
	holds := func(pair *tls.Certificate) {
		secret.Data = map[string][]byte{corev1.TLSCertKey: authority.CertificatePEM(pair), corev1.TLSPrivateKeyKey: authority.KeyPEM(t, pair)}
	}
	holds(first)
	if _, err := s.client().CoreV1().Secrets(ns).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	pod := s.handler("tls", images["0.3"])
	pod.Annotations = map[string]string{"krustlet-wasi.dev/http-tls": "pair"}
	pod.Spec.Volumes = []corev1.Volume{{Name: "pair", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "pair"}}}}
	c := &pod.Spec.Containers[0]
	const securePort = 8443
	c.Ports = append(c.Ports, corev1.ContainerPort{Name: "https", ContainerPort: securePort})
	c.ReadinessProbe.HTTPGet.Scheme, c.ReadinessProbe.HTTPGet.Port = corev1.URISchemeHTTPS, intstr.FromString("https")
	s.create(t, ns, pod)
	pod = s.await(t, ns, pod.Name, ready(true))
	to := "https://" + hostPort(pod.Status.PodIP, securePort) + "/hello"
	for _, two := range []bool{false, true} {
		if name, protocol, err := secureGet(t, signs, to, two); err != nil || name != "first" || (protocol == 2) != two {
			t.Errorf("HTTP/2 %v: certificate %q, HTTP/%d, %v", two, name, protocol, err)
		}
	}
	if code, _ := get(t, "http://"+at(pod)+"/hello"); code != http.StatusOK {
		t.Errorf("the port without TLS: %d", code)
	}
	holds(second)
	if _, err := s.client().CoreV1().Secrets(ns).Update(t.Context(), secret, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	testnode.Eventually(t, func() error {
		name, _, err := secureGet(t, signs, to, true)
		if err == nil && name != "second" {
			err = fmt.Errorf("it has certificate %q", name)
		}
		return err
	})
	if now := s.steady(t, ns, pod.Name); now.RestartCount != 0 {
		t.Errorf("the container was restarted: %+v", now)
	}
}

// secureGet asks by a new connection. It returns the name in the certificate, and the version of
// HTTP.
func secureGet(t *testing.T, signs *authority.Authority, url string, two bool) (name string, protocol int, err error) {
	t.Helper()
	// The certificate is for another address than the pod's.
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: signs.Pool(), ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: two, DisableKeepAlives: true,
	}
	answer, err := (&http.Client{Transport: transport, Timeout: testnode.Patience}).Get(url)
	if err != nil {
		return "", 0, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return "", 0, errors.New(answer.Status)
	}
	return answer.TLS.PeerCertificates[0].Subject.CommonName, answer.ProtoMajor, nil
}

// testHTTPMetrics: the node counts what a handler does, and its processor time.
func testHTTPMetrics(t *testing.T, s *suite, images map[string]string) {
	ns := s.cluster.Namespace(t)
	page := s.scraper(t, ns)
	for version, image := range images {
		pod := s.handler("counted-"+version[2:], image)
		s.create(t, ns, pod)
		pod = s.await(t, ns, pod.Name, ready(true))
		for range 5 {
			get(t, "http://"+at(pod)+"/status418")
		}
		get(t, "http://"+at(pod)+"/trap")
		of := func(more ...string) map[string]string {
			labels := map[string]string{"pod": pod.Name, "namespace": ns, "container": "main"}
			for i := 0; i < len(more); i += 2 {
				labels[more[i]] = more[i+1]
			}
			return labels
		}
		testnode.Eventually(t, func() error { // a request is counted when its answer was sent
			now := page.scrape(t, "/metrics")
			for code, want := range map[string]float64{"418": 5, "500": 1} {
				if m := now.lookup("krustlet_wasi_http_requests_total", of("code", code)); m == nil || value(m) != want {
					return fmt.Errorf("%s: answers %s: %v, want %v", version, code, m, want)
				}
			}
			if m := now.lookup("krustlet_wasi_http_instance_faults_total", of("reason", "trap")); m == nil || value(m) != 1 {
				return fmt.Errorf("%s: traps: %v", version, m)
			}
			if m := now.lookup("krustlet_wasi_http_request_duration_seconds", of()); m == nil || m.GetHistogram().GetSampleCount() < 6 {
				return fmt.Errorf("%s: durations: %v", version, m)
			}
			return nil
		})
		if m := page.scrape(t, "/metrics/resource").lookup("container_cpu_usage_seconds_total", of()); m == nil || value(m) <= 0 {
			t.Errorf("%s: processor time: %v", version, m)
		}
	}
}

// testHTTPPorts: without a port of its own, a handler is served at those that its image exposes,
// and else at port 80. kubectl port-forward reaches them there.
func testHTTPPorts(t *testing.T, s *suite, images map[string]string) {
	ns := s.cluster.Namespace(t)
	exposing := write(t, s.images.Host+"/exposing-web:v1", guests.Image(t,
		v1.Config{Entrypoint: []string{"/web"}, ExposedPorts: map[string]struct{}{"18087/tcp": {}}},
		map[string][]byte{"web": component(t, "http-hello-0.3")}))
	for image, port := range map[string]int32{images["0.2"]: 80, exposing: 18087} {
		pod := s.create(t, ns, s.pod(fmt.Sprintf("at-%d", port), image))
		pod = s.await(t, ns, pod.Name, ready(true))
		if code, text := get(t, "http://"+hostPort(pod.Status.PodIP, port)); code != http.StatusOK || !strings.HasPrefix(text, "hello") {
			t.Errorf("port %d: %d %q", port, code, text)
		}
		to := (&execs{suite: s, ns: ns, pod: pod.Name}).forward(t, fmt.Sprintf(":%d", port))
		if code, text := get(t, "http://"+to); code != http.StatusOK || !strings.HasPrefix(text, "hello") {
			t.Errorf("port %d by port-forward: %d %q", port, code, text)
		}
	}
}

// testHTTPHost: a handler is served at the ports of the node that its pod names, in the host's
// network and with hostPort.
func testHTTPHost(t *testing.T, s *suite, images map[string]string) {
	ns := s.cluster.Namespace(t)
	inside, mapped := s.handler("inside", images["0.2"]), s.handler("mapped", images["0.3"])
	inside.Spec.HostNetwork = true
	inside.Spec.Containers[0].Ports[0].ContainerPort = freePort()
	mapped.Spec.Containers[0].Ports[0].HostPort = freePort()
	for pod, port := range map[*corev1.Pod]int32{inside: inside.Spec.Containers[0].Ports[0].ContainerPort, mapped: mapped.Spec.Containers[0].Ports[0].HostPort} {
		s.create(t, ns, pod)
		s.await(t, ns, pod.Name, ready(true))
		for _, ip := range []string{s.node.IP, "127.0.0.1"} {
			if code, text := get(t, "http://"+hostPort(ip, port)+"/hello"); code != http.StatusOK || text != "hello\n" {
				t.Errorf("%s at %s: %d %q", pod.Name, ip, code, text)
			}
		}
	}
}

// testHTTPTop: `kubectl top` shows what a handler uses.
func testHTTPTop(t *testing.T, s *suite, _ string, _ *scraper) {
	ns := s.cluster.Namespace(t)
	pod := s.handler("handles", s.handlers(t)["0.2"])
	pod.Annotations = map[string]string{"krustlet-wasi.dev/http-first-byte-timeout": "1h"}
	pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{"cpu": resourceQuantity("200m"), "memory": resourceQuantity("64Mi")}
	s.create(t, ns, pod)
	pod = s.await(t, ns, pod.Name, ready(true))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	defer func() { cancel(); <-done }()
	go func() {
		defer close(done)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at(pod)+"/loop", nil)
		if err == nil {
			var answer *http.Response
			if answer, err = http.DefaultClient.Do(r); err == nil {
				_ = answer.Body.Close()
				err = errors.New(answer.Status)
			}
		}
		if ctx.Err() == nil {
			t.Errorf("a request that computes for ever: %v", err)
		}
	}()
	testnode.Eventually(t, func() error {
		cmd, out := s.kubectl(t, "top", "pod", "-n", ns, "--no-headers")
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		f := strings.Fields(out.String())
		if len(f) != 3 || f[0] != pod.Name {
			return fmt.Errorf("kubectl top: %s", out)
		}
		used, memory := resourceQuantity(f[1]), resourceQuantity(f[2])
		return errors.Join(within("milli-cores", float64(used.MilliValue()), 10, 230), within("mebibytes", float64(memory.Value()>>20), 0, 32))
	})
}

// TestHTTPAtNodeAddress: on a node whose pods have its address, a handler is served only if its pod
// asks for that.
func TestHTTPAtNodeAddress(t *testing.T) {
	t.Parallel()
	s := &suite{cluster: testcluster.Start(t), images: testnode.NewRegistry(t)}
	s.node = testnode.New(t, s.cluster, "")
	s.node.Args = append(s.node.Args, "--pod-cidr=none")
	s.node.Join(t)
	image := s.images.Push(t, "hello:v1", component(t, "http-hello-0.2"))
	ns := s.cluster.Namespace(t)
	silent, asks := s.handler("silent", image), s.handler("asks", image)
	asks.Spec.Containers[0].Ports[0].ContainerPort = freePort()
	asks.Annotations = map[string]string{"krustlet-wasi.dev/listen": "true"}
	silent = s.create(t, ns, silent)
	s.create(t, ns, asks)
	now := s.await(t, ns, asks.Name, ready(true))
	if now.Status.PodIP != s.node.IP {
		t.Errorf("the pod has %s", now.Status.PodIP)
	}
	if code, text := get(t, "http://"+hostPort(s.node.IP, asks.Spec.Containers[0].Ports[0].ContainerPort)); code != http.StatusOK || !strings.Contains(text, "hello") {
		t.Errorf("%d %q", code, text)
	}
	s.awaitEvents(t, silent, "Failed Error: starting the guest: the component is an HTTP handler, and there is no address to serve at: "+
		`the annotation krustlet-wasi.dev/listen of the pod is "false", or the pod has the node's address and the annotation is not "true"`)
}
