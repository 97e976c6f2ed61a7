package wit

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// token is a token: an identifier or keyword, a number, an operator, or the end of the file, which
// is "". text has no %, which escaped says.
type token struct {
	text    string
	kind    tokenKind
	escaped bool
	at      int // offset
	pos     Pos
}

type tokenKind int

const (
	endOfFile tokenKind = iota
	word
	number
	operator
)

func (t token) String() string {
	if t.kind == endOfFile {
		return "the end of the file"
	}
	return fmt.Sprintf("%q", t.text)
}

type lexer struct {
	file string
	text string
	at   int
	line int
	bol  int // where the line begins
}

func (l *lexer) pos() Pos {
	return Pos{l.file, l.line, utf8.RuneCountInString(l.text[l.bol:l.at]) + 1}
}

// next returns the next token.
func (l *lexer) next() (token, error) {
	if err := l.skip(); err != nil {
		return token{}, err
	}
	t := token{at: l.at, pos: l.pos()}
	if l.at == len(l.text) {
		return t, nil
	}
	c := l.text[l.at]
	switch {
	case isLetter(c) || c == '%':
		if c == '%' {
			t.escaped = true
			l.at++
		}
		t.kind, t.text = word, l.while(func(c byte) bool { return isLetter(c) || isDigit(c) || c == '-' })
		if err := checkWord(t.text); err != nil {
			return t, t.pos.errorf("%w", err)
		}
	case isDigit(c):
		t.kind, t.text = number, l.while(isDigit)
	case strings.HasPrefix(l.text[l.at:], "->"):
		t.kind, t.text = operator, "->"
		l.at += 2
	case strings.IndexByte("=,:;(){}<>*/.@_", c) >= 0:
		t.kind, t.text = operator, string(c)
		l.at++
	default:
		r, _ := utf8.DecodeRuneInString(l.text[l.at:])
		return t, t.pos.errorf("%q has no meaning here", r)
	}
	return t, nil
}

func (l *lexer) while(is func(c byte) bool) string {
	start := l.at
	for l.at < len(l.text) && is(l.text[l.at]) {
		l.at++
	}
	return l.text[start:l.at]
}

// skip goes past spaces and comments.
func (l *lexer) skip() error {
	for l.at < len(l.text) {
		rest := l.text[l.at:]
		switch {
		case rest[0] == '\n':
			l.at++
			l.line, l.bol = l.line+1, l.at
		case rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\r':
			l.at++
		case strings.HasPrefix(rest, "//"):
			l.while(func(c byte) bool { return c != '\n' })
		case strings.HasPrefix(rest, "/*"):
			if err := l.skipBlock(); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

// skipBlock goes past a block comment, which may have others in it.
func (l *lexer) skipBlock() error {
	begin, depth := l.pos(), 0
	for l.at < len(l.text) {
		rest := l.text[l.at:]
		switch {
		case strings.HasPrefix(rest, "/*"):
			depth++
			l.at += 2
		case strings.HasPrefix(rest, "*/"):
			depth--
			l.at += 2
			if depth == 0 {
				return nil
			}
		case rest[0] == '\n':
			l.at++
			l.line, l.bol = l.line+1, l.at
		default:
			l.at++
		}
	}
	return begin.errorf("the comment does not end")
}

// version takes a semantic version, which is no token of its own, from an offset on.
func (l *lexer) version(at int) string {
	l.at = at
	v := strings.TrimRight(l.while(func(c byte) bool {
		return isLetter(c) || isDigit(c) || c == '.' || c == '-' || c == '+'
	}), ".")
	l.at = at + len(v)
	return v
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// checkWord reports what is wrong with an identifier: it begins with a letter, and its words have
// letters of one case and digits, and one dash between them.
func checkWord(s string) error {
	if s == "" || !isLetter(s[0]) {
		return fmt.Errorf("%q is no name: it does not begin with a letter", s)
	}
	for part := range strings.SplitSeq(s, "-") {
		if part == "" {
			return fmt.Errorf("%q is no name: a word of it is empty", s)
		}
		if part != strings.ToLower(part) && part != strings.ToUpper(part) {
			return fmt.Errorf("%q is no name: a word of it has letters of both cases", s)
		}
	}
	return nil
}
