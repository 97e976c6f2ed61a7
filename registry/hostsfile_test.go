package registry

import (
	"fmt"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/errorcheck"
)

func TestHostsFileIsBounded(t *testing.T) {
	for content, says := range map[string]string{
		strings.Repeat("a = 1\n", 64<<10):              fmt.Sprintf("larger than %d", 64<<10),
		"# x\n" + strings.Repeat("a.", 5000) + "a = 1": "line 2 is longer",
		strings.Repeat("#\n", 1<<20):                   fmt.Sprintf("larger than %d", 1<<20),
		"server = 'a'\nServer = 'b'\n":                 `"Server" must be written "server"`,
		"[host.a]\nCA = 'b'\n":                         `"CA" must be written "ca"`,
		"ca = '/dev/zero'\n":                           "/dev/zero: no regular file",
		"client = '/dev/zero'\n":                       "/dev/zero: no regular file",
		"header.a = \"b\\nc\"\n":                       "header.a",
		"header.'a b' = 'c'\n":                         `"a b" is no name`,
	} {
		s := newStore(t, Config{HostsDir: hostsDir(t, "registry.example", content)})
		_, err := s.pulled(t.Context(), "registry.example/app")
		errorcheck.Is(t, err, nil, says, "hosts.toml")
	}
}
