package krustletwasi

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// bareVerb finds a step of an error that names what was done with a verb that lacks its -ing.
var bareVerb = regexp.MustCompile(`(?:^|: )(adopt|ask|assemble|attach|bind|close|collect|compile|connect|continue|copy|create|decode|define|drop|` +
	`end|fetch|find|follow|get|instantiate|keep|kill|limit|link|list|listen|load|lock|look|lower|make|mount|move|note|open|parse|pull|` +
	`read|remember|remove|resize|resolve|rotate|send|serve|set|start|stat|store|sync|tell|use|wait|watch|write)\b[^:]*: %w`)

// TestErrors holds errors that wrap others to one grammar: "reading the node: …".
func TestErrors(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "bin" || path != "." && strings.HasPrefix(entry.Name(), ".")):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if format, at := errorFormat(n); bareVerb.MatchString(format) {
				t.Errorf("%s: %q: begin with the verb in -ing", files.Position(at), format)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// errorFormat returns the format of a call of fmt.Errorf, or "".
func errorFormat(n ast.Node) (format string, at token.Pos) {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return "", 0
	}
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || f.Sel.Name != "Errorf" {
		return "", 0
	}
	literal, ok := call.Args[0].(*ast.BasicLit)
	if !ok {
		return "", 0
	}
	format, err := strconv.Unquote(literal.Value)
	if err != nil {
		return "", 0
	}
	return format, literal.Pos()
}
