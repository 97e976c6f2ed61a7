package krustletwasi

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A claim is a sentence of a page, or a part of it, that a test checks. The test quotes it in a
// comment of this form:
//
//	// docs/PAGE.md: "a sentence or a part of one", and "another one, which
//	// goes on in the next line".
type claim struct{ file, page, text string }

var (
	claimBegins = regexp.MustCompile(`(?m)^\s*// (docs/[a-z-]+\.md): `)
	quoteIn     = regexp.MustCompile(`^"([^"]+)"`)
	nextLine    = regexp.MustCompile(`\n[ \t]*// ?`)
	joint       = regexp.MustCompile(`^[,;]?(?: and)?(?: |\n[ \t]*// )"`)
	claimEnds   = regexp.MustCompile(`^[.;]?\n`)
)

// claims are the quotes in the tests.
func claims(t *testing.T) []claim {
	t.Helper()
	var all []claim
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") || path == "claims_test.go" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, at := range claimBegins.FindAllSubmatchIndex(text, -1) {
			page, rest := string(text[at[2]:at[3]]), string(text[at[1]:])
			for {
				q := quoteIn.FindStringSubmatch(rest)
				if q == nil {
					t.Errorf("%s: this is not a list of quotes: %.80q", path, rest)
					break
				}
				all = append(all, claim{path, page, plain(nextLine.ReplaceAllString(q[1], " "))})
				rest = rest[len(q[0]):]
				more := joint.FindString(rest)
				if more == "" {
					break
				}
				rest = rest[len(more)-1:]
			}
			if !claimEnds.MatchString(rest) {
				t.Errorf("%s: this is not a list of quotes: %.80q", path, rest)
			}
		}
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("%d claims, %v", len(all), err)
	}
	return all
}

var linkText = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)

// plain is a text without links and emphasis, on one line.
func plain(text string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(linkText.ReplaceAllString(text, "$1"), "*", "")), " ")
}

// TestClaims: every quote in a test is on its page, exactly once.
func TestClaims(t *testing.T) {
	all := pages(t)
	for _, c := range claims(t) {
		if n := strings.Count(plain(all[c.page]), c.text); n != 1 {
			t.Errorf("%s: %s says %d times, not once: %q", c.file, c.page, n, c.text)
		}
	}
}

const securityPage = "docs/security.md"

// TestSecurityIsTested: for each sentence of the page on security, tests quote all of it, or it is
// listed with the reason why no test can check it.
func TestSecurityIsTested(t *testing.T) {
	blocks := blocksOf(pages(t)[securityPage])
	var quoted, listed []string
	for _, c := range claims(t) {
		if c.page == securityPage {
			quoted = append(quoted, c.text)
		}
	}
	for _, n := range nothingToTest {
		for _, text := range n.texts {
			listed = append(listed, text)
			if strings.Count(strings.Join(blocks, "\n"), text) != 1 {
				t.Errorf("the page does not say, once, what is listed as nothing to test: %q", text)
			}
			if slices.ContainsFunc(quoted, func(q string) bool { return strings.Contains(q, text) }) {
				t.Errorf("a test quotes what is listed as nothing to test: %q", text)
			}
		}
	}
	sentences := 0
	for _, block := range blocks {
		held := make([]bool, len(block))
		for _, text := range slices.Concat(quoted, listed) {
			if at := strings.Index(block, text); at >= 0 {
				for i := range text {
					held[at+i] = true
				}
			}
		}
		from := 0
		for _, end := range append(sentenceEnd.FindAllStringIndex(block, -1), []int{0, len(block)}) {
			if from < len(block) {
				sentences++
				if left := unheld(block[from:end[1]], held[from:end[1]]); left != "" {
					t.Errorf("no test holds %q of: %s", left, block[from:end[1]])
				}
			}
			from = end[1]
		}
	}
	if sentences < 150 {
		t.Errorf("the page has %d sentences: this test looks at the wrong things", sentences)
	}
}

var (
	blockBegins = regexp.MustCompile(`^(- |\d+\. |\|)`)
	rule        = regexp.MustCompile(`^[|-]+$`)
	sentenceEnd = regexp.MustCompile(`[.:;] | \| `)
	word        = regexp.MustCompile(`[\p{L}\p{N}]+`)
)

// blocksOf are the paragraphs of a page, the items of its lists and the rows of its tables, each on
// one line.
func blocksOf(page string) []string {
	var blocks []string
	open := false
	for line := range strings.Lines(prose(page)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || rule.MatchString(line) {
			open = false
			continue
		}
		if begins := blockBegins.FindString(line); begins != "" || !open {
			blocks = append(blocks, "")
			line = strings.TrimSuffix(line[len(begins):], "|")
		}
		open = true
		blocks[len(blocks)-1] += line + " "
	}
	for i := range blocks {
		blocks[i] = plain(blocks[i])
	}
	return blocks
}

// unheld are the words of a sentence that no test quotes. The words "and" and "but" do not count.
func unheld(sentence string, held []bool) string {
	var left []string
	for _, at := range word.FindAllStringIndex(sentence, -1) {
		if w := sentence[at[0]:at[1]]; !held[at[0]] && w != "and" && w != "but" {
			left = append(left, w)
		}
	}
	return strings.Join(left, " ")
}

// nothingToTest are sentences of the page on security that no test can check, with the reason for
// each.
var nothingToTest = []struct {
	why   string
	texts []string
}{
	{"it says what the page is about, and others say the rest", []string{
		"This page says what protects the node, what it trusts, and what is missing.",
		"Guests are not trusted; images are whatever the registry gives; an API client may do nothing before it has shown who it is.",
	}},
	{"it names what follows", []string{
		"Files:", "Secrets in environments:", "Network:", "Processes, signals, devices:", "Time:", "Memory:", "Disk:", "Audit.",
		"path | verb | subresource of `nodes`, one is enough", "connections | at most |", "file, below the data directory | mode | why",
	}},
	{"it says what something is made of", []string{"Code is WebAssembly, compiled and run by wasmtime:", "which are written in Go here."}},
	{"it explains", []string{
		"this is a wall, too, because modules that break compilers need much memory.", "private keys.", "Compiled code is native code that will be run:",
		"(Control groups and routes are the kernel's.)", "Its writer could take the node over.", "mounted Secrets have such modes.",
		"object stores are there.", "The node believes its API server, which decides what the node runs.", "for log shippers;",
		"Hashes of the credentials with which images were pulled: who may have which image.",
	}},
	{"it is advice", []string{
		"bound who may use it.", "set limits, by a LimitRange for instance.", "Keep the data directory on a disk of its own.",
		"look at the REQUESTOR, which must be `system:node:NAME` of the node that the certificate is for, before you approve.",
		"Keep keys that a `hosts.toml` names in the folder of those files:", "delete its Secret in `kube-system` sooner if no more nodes are to come.", "The API server needs `system:kubelet-api-admin`; see Join a cluster.",
		"do not give it to users who only read.", "for tests.", "It is for development.", "Privately to the maintainers, not in a public issue.",
	}},
	{"the file is the operator's, and docker's", []string{
		"`config/docker/config.json` | as you made it; `docker login` makes it 0600 | Credentials for registries.",
	}},
	{"it is a rule of Kubernetes, not of this node", []string{
		"Users who may read pod logs in a namespace read what guests print there.", "the API server's own audit log has the user behind it.",
	}},
}
