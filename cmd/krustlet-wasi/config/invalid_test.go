package config

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/exit"
)

// TestInvalidInput checks the messages about mistakes: one line for each mistake, with its
// location, the value, and what to do.
func TestInvalidInput(t *testing.T) {
	flag := func(args ...string) func(*testing.T, *scene) {
		return func(_ *testing.T, s *scene) { s.flags = args }
	}
	env := func(name, value string) func(*testing.T, *scene) {
		return func(_ *testing.T, s *scene) { s.env[name] = value }
	}
	file := func(content string) func(*testing.T, *scene) {
		return func(_ *testing.T, s *scene) { s.file = content }
	}
	for _, tc := range []struct {
		name string
		set  func(*testing.T, *scene)
		want []string // what each line contains; " ... " separates parts
	}{
		{"node name", flag("--node-name=My_Node"), []string{`flag --node-name: "My_Node" cannot be a node name: use lower-case`}},
		{"node name by variable", env("KRUSTLET_NODE_NAME", "a..b"), []string{`environment variable KRUSTLET_NODE_NAME: "a..b"`}},
		{"node name in file", file(`{"nodeName": "-a"}`), []string{`config.json: key "nodeName": "-a" cannot be`}},
		{"node name empty", flag("--node-name="), []string{`flag --node-name: "" cannot be a node name`}},
		{"node name too long", flag("--node-name=" + strings.Repeat("a", 254)), []string{`at most 253 characters`}},
		{"hostname", flag("--hostname=my host"), []string{`flag --hostname: "my host" cannot be a hostname`}},
		{"hostname too long", flag("--hostname=" + strings.Repeat("a", 64)), []string{`at most 63 characters`}},
		{"node IP", flag("--node-ip=example.org"), []string{`flag --node-ip: "example.org" is not an IP address`}},
		{"node IP of all", flag("-n", "0.0.0.0"), []string{`flag --node-ip: "0.0.0.0" cannot be a node's address`}},
		{"node IP of many", flag("-n", "ff02::1"), []string{`flag --node-ip: "ff02::1" cannot be a node's address`}},
		{"node IP with a zone", flag("-n", "fe80::1%eth0"), []string{`"fe80::1%eth0" is not an IP address`}},
		{"pod range", flag("--pod-cidr=10.1.0.0"), []string{`flag --pod-cidr: "10.1.0.0" is no range of addresses: write it as 10.1.2.0/24`}},
		{"two pod ranges", env("KRUSTLET_POD_CIDR", "10.1.0.0/24,10.2.0.0/24"), []string{`KRUSTLET_POD_CIDR: 10.2.0.0/24: there can be one range of IPv4 and one of IPv6`}},
		{"pod range and none", file(`{"podCIDR": ["none", "10.1.0.0/24"]}`), []string{`key "podCIDR": "none" is no range`}},
		{"address", env("KRUSTLET_ADDRESS", "localhost"), []string{`KRUSTLET_ADDRESS: "localhost" is not an IP address`}},
		{"address with a port", flag("-a", "127.0.0.1:3000"), []string{`"127.0.0.1:3000" is not an IP address`}},
		{"port zero", flag("--port=0"), []string{`flag --port: "0" is not a port: write a whole number from 1 to 65535`}},
		{"port too large", env("KRUSTLET_PORT", "65536"), []string{`environment variable KRUSTLET_PORT: "65536"`}},
		{"port negative", file(`{"listenerPort": -1}`), []string{`key "listenerPort": "-1" is not a port`}},
		{"port in words", file(`{"listenerPort": "3000"}`), []string{`key "listenerPort": "3000" is not a whole number`}},
		{"port with a fraction", file(`{"listenerPort": 3e3}`), []string{`key "listenerPort": 3e3 is not a whole number`}},
		{"pods", env("MAX_PODS", "many"), []string{`environment variable MAX_PODS: "many" is not a number of pods`}},
		{"eviction", flag("--eviction-hard=memory.available<lots,imagefs.available<15%,pid.available<5%,pid.available<6%"), []string{
			`flag --eviction-hard: "lots" of memory.available is not an amount above 0 nor a percentage`, `"imagefs.available" is no signal of this node`, `pid.available is given twice`,
		}},
		{"eviction by file", file(`{"evictionHard": "memory.available<1Gi"}`), []string{`key "evictionHard": "memory.available<1Gi" is not an object of strings`}},
		{"transition", flag("--eviction-pressure-transition-period=5"), []string{`--eviction-pressure-transition-period: "5" is no duration`}},
		{"labels", flag("--node-labels=ok=1,a b=1,x=y z,=3"), []string{`label key "a b"`, `value "y z" of label "x"`, `label key ""`}},
		{"labels that differ", flag("--node-labels=a=1,a=2"), []string{`label "a" is given twice, as "1" and as "2"`}},
		{"labels of kubernetes", env("NODE_LABELS", "node-role.kubernetes.io/worker="), []string{`NODE_LABELS: label "node-role.kubernetes.io/worker" cannot be set by a node on itself`}},
		{"labels in words", file(`{"nodeLabels": "a=b"}`), []string{`key "nodeLabels": "a=b" is not an object of strings`}},
		{"labels of numbers", file(`{"nodeLabels": {"a": 1}}`), []string{`key "nodeLabels": {"a": 1} is not an object of strings`}},
		{"labels of null", file(`{"nodeLabels": {"a": null}}`), []string{`is not an object of strings`}},
		{"labels twice in file", file(`{"nodeLabels": {"a": "1", "a": "1"}}`), []string{`key "nodeLabels": "a" is there twice`}},
		{"taints", flag("--register-with-taints=a=b,c:Never,:NoSchedule,d=e f:NoExecute"), []string{
			`taint "a=b" has no effect`, `taint "c:Never" has the unknown effect "Never"`, `taint key ""`, `value "e f" of taint "d"`,
		}},
		{"taints twice", flag("--register-with-taints=a=1:NoSchedule,a=2:NoSchedule"), []string{`taint a:NoSchedule is given twice`}},
		{"registries", flag("--insecure-registries=http://a,b/c,d:e,f:,ok:5000"), []string{`"http://a" is not a registry`, `"b/c"`, `"d:e"`, `"f:"`}},
		{"registries in words", file(`{"insecureRegistries": "a,b"}`), []string{`key "insecureRegistries": "a,b" is not an array of strings`}},
		{"registries of null", file(`{"insecureRegistries": [null]}`), []string{`[null] is not an array of strings`}},
		{"thresholds", flag("--image-gc-high-threshold=101", "--image-gc-low-threshold=x"), []string{`--image-gc-high-threshold: "101" is not a percentage`, `"x" is not a percentage`}},
		{"thresholds the wrong way", flag("--image-gc-low-threshold=85"), []string{`flag --image-gc-low-threshold: 85 is not below 85, the value of the default of --image-gc-high-threshold`}},
		{"ages", file(`{"imageMaximumGCAge": "1m"}`), []string{`key "imageMaximumGCAge": 1m0s is not above 2m0s`}},
		{"age", flag("--minimum-image-ttl-duration=2"), []string{`--minimum-image-ttl-duration: "2" is no duration`}},
		{"size of a module", flag("--max-module-size=2Gi"), []string{`--max-module-size: "2Gi" is more than the engine can take: write 1Gi or less`}},
		{"no size of a module", file(`{"maxModuleSize": "large"}`), []string{`key "maxModuleSize": "large" is no amount of bytes of a module`}},
		{"pulls", flag("--max-parallel-image-pulls=0"), []string{`"0" is not a number of pulls`}},
		{"verification", env("KRUSTLET_IMAGE_PULL_CREDENTIALS_VERIFICATION_POLICY", "alwaysVerify"), []string{
			`KRUSTLET_IMAGE_PULL_CREDENTIALS_VERIFICATION_POLICY: "alwaysVerify" is none of NeverVerify, NeverVerifyPreloadedImages, NeverVerifyAllowlistedImages and AlwaysVerify`,
		}},
		{"allowlist", file(`{"preloadedImagesVerificationAllowlist": ["r.example/a*", "r.example/a:v1", "ok/*"]}`), []string{
			`key "preloadedImagesVerificationAllowlist": "r.example/a*": * may only be`, `"r.example/a:v1": an image is named without tag`,
		}},
		{"allowlist for nothing", flag("--preloaded-images-verification-allowlist=a", "--image-pull-credentials-verification-policy=AlwaysVerify"), []string{
			`flag --preloaded-images-verification-allowlist: it is for NeverVerifyAllowlistedImages only, and the policy is AlwaysVerify`,
		}},
		{"half of plugins", flag("--image-credential-provider-config=/x"), []string{`need both --image-credential-provider-config and --image-credential-provider-bin-dir`}},
		{"authorities", flag("--registry-ca=/none.pem"), []string{`flag --registry-ca: reading /none.pem`}},
		{"local modules", flag("--x-allow-local-modules=maybe"), []string{`flag --x-allow-local-modules: "maybe" is neither true nor false`}},
		{"local modules in file", file(`{"allowLocalModules": "true"}`), []string{`"true" is not true or false`}},
		{"collector as a URL", flag("--tracing-endpoint=http://localhost:4317"), []string{`flag --tracing-endpoint: "http://localhost:4317" is not the address of a collector: write its host:port`}},
		{"collector without a port", env("KRUSTLET_TRACING_ENDPOINT", "localhost"), []string{`KRUSTLET_TRACING_ENDPOINT: "localhost" is not the address`}},
		{"collector without a host", file(`{"tracingEndpoint": ":4317"}`), []string{`key "tracingEndpoint": ":4317" is not the address`}},
		{"too many traces", flag("--tracing-sampling-rate-per-million=1000001"), []string{`"1000001" is not a number of traces: write how many of a million`}},
		{"name servers", flag("--cluster-dns=192.0.2.1,dns,0.0.0.0"), []string{`flag --cluster-dns: "dns" is not an IP address`, `"0.0.0.0" cannot be a name server`}},
		{"limit of egress", flag("--egress-limit=ok.example,10.0.0.0/99"), []string{`flag --egress-limit: reading the list of egress: entry 2, "10.0.0.0/99": `}},
		{"default egress", file(`{"defaultEgress": ["a b..c"]}`), []string{`key "defaultEgress": reading the list of egress: entry 2`}},
		{"services", env("KRUSTLET_SERVICES", "iptables"), []string{`KRUSTLET_SERVICES: "iptables" is neither host nor kernel`}},
		{"cluster's domain", flag("--cluster-domain=a_b"), []string{`flag --cluster-domain: "a_b" is not a domain: write one such as cluster.local`}},
		{"resolv.conf", env("KRUSTLET_RESOLV_CONF", "~/resolv.conf"), []string{`KRUSTLET_RESOLV_CONF: "~/resolv.conf" begins with ~`}},
		{"anonymous clients", flag("--anonymous-auth=true"), []string{`flag --anonymous-auth: krustlet-wasi serves only clients that it knows`}},
		{"anonymous clients, perhaps", env("KRUSTLET_ANONYMOUS_AUTH", "perhaps"), []string{`KRUSTLET_ANONYMOUS_AUTH: "perhaps" is neither true nor false`}},
		{"authorization of everything", file(`{"authorizationMode": "AlwaysAllow"}`), []string{`key "authorizationMode": AlwaysAllow would let every certificate`}},
		{"unknown authorization", flag("--authorization-mode=RBAC"), []string{`flag --authorization-mode: "RBAC" is not an authorization mode: write Webhook`}},
		{"tokens", flag("--authentication-token-webhook=maybe"), []string{`flag --authentication-token-webhook: "maybe" is neither true nor false`}},
		{"token cache", flag("--authentication-token-webhook-cache-ttl=5"), []string{`cache-ttl: "5" is no duration: write a number with its unit`}},
		{"authorization caches", file(`{"authorizationWebhookCacheAuthorizedTTL": "-1s", "authorizationWebhookCacheUnauthorizedTTL": 5}`), []string{
			`key "authorizationWebhookCacheUnauthorizedTTL": 5 is not a string`, `key "authorizationWebhookCacheAuthorizedTTL": "-1s" is no duration`,
		}},
		{"old TLS", flag("--tls-min-version=VersionTLS11"), []string{`flag --tls-min-version: "VersionTLS11" is not a version of TLS to begin with: write VersionTLS12 or VersionTLS13`}},
		{"cipher suites", flag("--tls-cipher-suites=TLS_RSA_WITH_RC4_128_SHA,TLS_AES_128_GCM_SHA256"), []string{
			`"TLS_RSA_WITH_RC4_128_SHA" is not a cipher suite that is safe to use: write some of TLS_ECDHE_`, `"TLS_AES_128_GCM_SHA256" is of TLS 1.3`,
		}},
		{"cipher suites without HTTP/2", flag("--tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"), []string{`none of the suites is one that HTTP/2 wants: add TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 or`}},
		{"profiling", file(`{"enableProfilingHandler": 1}`), []string{`key "enableProfilingHandler": 1 is not true or false`}},
		{"log directory among the pods", flag("--data-dir=/d", "--pod-logs-dir=/d/pods", "--container-logs-dir=/d/modules/x"), []string{
			`flag --pod-logs-dir: /d/pods belongs to the node itself`, `flag --container-logs-dir: /d/modules/x belongs to the node itself, which keeps other things in /d/modules`,
		}},
		{"log directory is a file", flag("--pod-logs-dir=/dev/null"), []string{`flag --pod-logs-dir: /dev/null is not a directory`}},
		{"log directory", flag("--pod-logs-dir=~/logs"), []string{`flag --pod-logs-dir: "~/logs" begins with ~`}},
		{"log level", flag("--log-level=loud"), []string{`flag --log-level: "loud" is not a log level: write debug, info, warn or error`}},
		{"log format", env("KRUSTLET_LOG_FORMAT", "xml"), []string{`KRUSTLET_LOG_FORMAT: "xml" is not a log format`}},
		{"tilde", flag("--data-dir=~/data"), []string{`flag --data-dir: "~/data" begins with ~`}},
		{"empty path", flag("--cert-file="), []string{`flag --cert-file: the path is empty`}},
		{"path in file", file(`{"dataDir": 7}`), []string{`key "dataDir": 7 is not a string`}},
		{"several kubeconfigs", env("KUBECONFIG", "/a:/b"), []string{`KUBECONFIG: "/a:/b" is a list of files`}},
		{"no home", env("HOME", ""), []string{`cannot tell where the data directory is: $HOME is not set; set --data-dir`}},
		{"relative home", env("HOME", "me"), []string{`$HOME is "me", which is not an absolute path; set --data-dir`}},
		{"bootstrap file missing", flag("--bootstrap-file=/nowhere/b.conf"), []string{
			`flag --bootstrap-file: bootstrap file /nowhere/b.conf does not exist ... /.krustlet/config/kubeconfig yet; make one with hack/bootstrap.sh`,
		}},
		{"bootstrap file is a directory", flag("--bootstrap-file=/tmp"), []string{`flag --bootstrap-file: /tmp is not a regular file`}},
		{"bootstrap file with the kubeconfig's path", func(t *testing.T, s *scene) {
			path := s.write(t, ".krustlet/config/kubeconfig", "bootstrap")
			s.flags = []string{"--bootstrap-file=" + path}
		}, []string{`flag --bootstrap-file: ... is where the node's own kubeconfig goes`}},
		{"certificate is a directory", flag("--cert-file=/tmp"), []string{`flag --cert-file: /tmp is not a regular file`}},
		{"data directory is a file", func(t *testing.T, s *scene) {
			s.flags = []string{"--data-dir=" + s.write(t, "data", "")}
		}, []string{`flag --data-dir: ... /data is not a directory`}},
		{"authorities missing", flag("--client-ca-file=/nowhere/ca.crt"), []string{`flag --client-ca-file: reading /nowhere/ca.crt: no such file`}},
		{"authorities of no certificate", func(t *testing.T, s *scene) {
			s.flags = []string{"--client-ca-file=" + s.write(t, "ca.crt", "hello")}
		}, []string{`ca.crt holds no PEM certificate`}},
		{"authorities damaged", func(t *testing.T, s *scene) {
			s.flags = []string{"--client-ca-file=" + s.write(t, "ca.crt", "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n")}
		}, []string{`ca.crt: parsing certificate 1`}},
		{"configuration file missing", flag("--config=/nowhere/c.json"), []string{`flag --config: reading /nowhere/c.json: no such file`}},
		{"configuration file is a directory", env("KRUSTLET_CONFIG", "/tmp"), []string{`KRUSTLET_CONFIG: /tmp is not a regular file`}},
		{"configuration file too large", file(strings.Repeat(" ", maxConfigFile) + "{}"), []string{`config.json is larger than`}},
		{"configuration file empty", file("\n"), []string{`config.json: it is empty`}},
		{"configuration file no object", file("[]"), []string{`config.json: it is not a JSON object`}},
		{"configuration file cut off", file(`{"maxPods":`), []string{`not valid JSON at line 1, column 11: unexpected end`}},
		{"configuration file with a last comma", file("{\n  \"maxPods\": 1,\n}"), []string{`not valid JSON at line 3, column 1: invalid character '}'`}},
		{"configuration file with more behind", file("{} {}"), []string{`not valid JSON at line 1, column 4`}},
		{"configuration file not UTF-8", file("{\"nodeName\": \"\xff\"}"), []string{`not valid UTF-8`}},
		{"unknown key", file(`{"node_labels": {}}`), []string{`unknown key "node_labels"; did you mean "nodeLabels"?`}},
		{"key in another case", file(`{"MaxPods": 1}`), []string{`unknown key "MaxPods"; did you mean "maxPods"?`}},
		{"key unlike any", file(`{"colour": 1}`), []string{`unknown key "colour"`}},
		{"key twice", file(`{"maxPods": 1, "maxPods": 2}`), []string{`the key "maxPods" is there twice`}},
		{"all at once", func(_ *testing.T, s *scene) {
			s.flags = []string{"--port=x"}
			s.env["MAX_PODS"] = "y"
			s.file = `{"logLevel": "z", "what": 1}`
		}, []string{`unknown key "what"`, `MAX_PODS: "y"`, `--port: "x"`, `key "logLevel": "z"`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScene(t)
			// The file is in the scene's home, even if the case changes $HOME.
			tc.set(t, s)
			_, err := s.load(t, testMachine())
			checkProblems(t, err, tc.want)
		})
	}
}

// checkProblems expects the code of bad usage, and one line for each of want.
func checkProblems(t *testing.T, err error, want []string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	var out strings.Builder
	if code := exit.Report(err, &out); code != exit.Usage {
		t.Errorf("exit code %d, want %d", code, exit.Usage)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	// The last line is the hint.
	if len(lines) != len(want)+1 || !strings.Contains(lines[len(lines)-1], "--help") {
		t.Fatalf("got %d lines, want %d and a hint:\n%s", len(lines)-1, len(want), out.String())
	}
	for i, w := range want {
		for part := range strings.SplitSeq(w, " ... ") {
			if !strings.Contains(lines[i], part) || !strings.HasPrefix(lines[i], "krustlet-wasi: ") {
				t.Errorf("line %d is\n%s\nand does not contain\n%s", i+1, lines[i], part)
			}
		}
	}
}

func TestInvalidHost(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Machine)
		want   string
	}{
		{"no hostname", func(m *Machine) { m.Hostname = func() (string, error) { return "", errors.New("lost") } }, `cannot read the host's name: lost; set --hostname`},
		{"bad hostname", func(m *Machine) { m.Hostname = func() (string, error) { return "my_host", nil } }, `the host's name: "my_host" cannot be a hostname ... ; set --hostname`},
		{"no address", func(m *Machine) {
			m.Lookup = func(context.Context, string) ([]netip.Addr, error) { return addrs("127.0.0.1"), nil }
		}, `cannot tell the node's address: ... ; set --node-ip`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := testMachine()
			tc.change(&m)
			_, err := newScene(t).load(t, m)
			checkProblems(t, err, []string{tc.want})
		})
	}
	t.Run("a bad hostname does not matter where one is set", func(t *testing.T) {
		m := testMachine()
		m.Hostname = func() (string, error) { return "my_host", nil }
		s := newScene(t)
		s.flags = []string{"--hostname=Good"}
		if c, err := s.load(t, m); err != nil || c.NodeName != "good" || c.Hostname != "Good" {
			t.Errorf("node %q, host %q, %v", c.NodeName, c.Hostname, err)
		}
	})
}

// TestUnreadableFiles uses files that even root cannot read.
func TestUnreadableFiles(t *testing.T) {
	s := newScene(t)
	loop := filepath.Join(s.home, "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	s.flags = []string{"--bootstrap-file=" + loop}
	s.env["KUBECONFIG"] = filepath.Join(s.home, "node.conf")
	_, err := s.load(t, testMachine())
	checkProblems(t, err, []string{"flag --bootstrap-file: reading " + loop + ": too many levels of symbolic links"})
}

// TestBootstrapFileOfAJoinedNode: once the node has joined, the bootstrap file need not exist.
func TestBootstrapFileOfAJoinedNode(t *testing.T) {
	s := newScene(t)
	s.env["KRUSTLET_BOOTSTRAP_FILE"] = "/nowhere/b.conf"
	s.write(t, ".krustlet/config/kubeconfig", "the node's own")
	s.mustLoad(t)
}
