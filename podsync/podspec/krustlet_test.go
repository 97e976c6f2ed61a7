package podspec

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/egress"
)

// TestKrustletHTTP: the annotations mean what they meant in Krustlet, and open nothing else.
func TestKrustletHTTP(t *testing.T) {
	for _, test := range []struct {
		domains, requests string // - for none
		want              KrustletHTTP
		fails             string
	}{
		{"-", "-", KrustletHTTP{}, ""},
		{`[]`, "-", KrustletHTTP{Given: true}, ""},
		{`["https://api.example.com", "http://192.0.2.7:8080/path?q", "https://[2001:db8::7]/", "http://U:p@Example.ORG"]`, "3",
			KrustletHTTP{Given: true, List: "api.example.com,192.0.2.7,2001:db8::7,example.org", MaxRequests: 3}, ""},
		{`["https://a.example", "insecure:allow-all"]`, "-", KrustletHTTP{Given: true, List: "*"}, ""},
		{`["https://bücher.example"]`, "-", KrustletHTTP{Given: true, List: "bücher.example"}, ""},
		{"-", "4294967295", KrustletHTTP{MaxRequests: 1 << 16}, ""},
		{`https://a.example`, "-", KrustletHTTP{}, domainsAnnotation},
		{`["a.example"]`, "-", KrustletHTTP{}, "URL 1"},
		{`["https://a.example", "https://*"]`, "-", KrustletHTTP{}, "URL 2"},
		{`["https://*.example.com"]`, "-", KrustletHTTP{}, "URL 1"},
		{`["https://cluster"]`, "-", KrustletHTTP{}, "URL 1"},
		{`["https://Cluster."]`, "-", KrustletHTTP{}, "URL 1"},
		{`["https://a,b"]`, "-", KrustletHTTP{}, "URL 1"},
		{`["https://a%2C*"]`, "-", KrustletHTTP{}, "URL 1"},
		{`["https://[fe80::1%25eth0]"]`, "-", KrustletHTTP{}, "URL 1"},
		{`["https://a b"]`, "-", KrustletHTTP{}, "URL 1"},
		{`["https://10.0.0.0/8"]`, "-", KrustletHTTP{Given: true, List: "10.0.0.0"}, ""},
		{"-", "0", KrustletHTTP{}, requestsAnnotation},
		{"-", "many", KrustletHTTP{}, requestsAnnotation},
		{"[" + strings.Repeat(`"https://a",`, mostDomains) + `"https://a"]`, "-", KrustletHTTP{}, "at most"},
	} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{}}}
		for name, value := range map[string]string{domainsAnnotation: test.domains, requestsAnnotation: test.requests} {
			if value != "-" {
				pod.Annotations[name] = value
			}
		}
		got, err := KrustletHTTPOf(pod)
		if got != test.want || (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), test.fails) {
			t.Errorf("%s, %s: %+v, %v, want %+v, %q", test.domains, test.requests, got, err, test.want, test.fails)
		}
		if err == nil {
			if _, err := egress.New(runtime.Egress{Allow: got.List}); err != nil {
				t.Errorf("%s is no list of egress: %v", got.List, err)
			}
		}
	}
}
