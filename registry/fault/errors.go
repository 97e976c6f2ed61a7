package fault

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// The classes of errors, for errors.Is. An error without a class is a failure of the network, the
// registry or the disk.
var (
	// ErrInvalidReference is an image reference that can never name anything.
	ErrInvalidReference = errors.New("invalid image reference")
	// ErrLocalModules is a reference to a local file on a node that does not allow them.
	ErrLocalModules = errors.New("local modules are not allowed")
	// ErrNotWasm is an image, or a file, without a WebAssembly module in a known form.
	ErrNotWasm = errors.New("not a WebAssembly image")
	// ErrInvalidImage is an image whose parts are broken, or have content that no image may have.
	ErrInvalidImage = errors.New("invalid image")
	// ErrNoProgram is an image with several modules that does not name the one to run.
	ErrNoProgram = errors.New("no module is named")
	// ErrDigestMismatch is content whose digest or size differs from what was announced.
	ErrDigestMismatch = errors.New("content does not match its digest")
	// ErrTooLarge is a manifest, a module or an image above the limit.
	ErrTooLarge = errors.New("too large")
	// ErrNotFound is a reference that the registry does not know, or a local file that does not
	// exist.
	ErrNotFound = errors.New("not found")
	// ErrUnauthorized means that a registry has refused the credentials, or requires some.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrDiskFull means that the disk, or a quota on it, has no room.
	ErrDiskFull = errors.New("the disk is full")
)

// failure is an error with a class, a cause, and a text of its own.
type failure struct {
	class error // one of the Err values, or nil
	cause error // or nil; the text already includes it
	text  string
}

func (f *failure) Error() string { return f.text }

func (f *failure) Unwrap() []error {
	var errs []error
	if f.class != nil {
		errs = append(errs, f.class)
	}
	if f.cause != nil {
		errs = append(errs, f.cause)
	}
	return errs
}

// New makes a failure with a text of one line. Registries may answer with any text, even pages of
// HTML.
func New(class, cause error, format string, args ...any) error {
	return &failure{class: class, cause: cause, text: OneLine(fmt.Sprintf(format, args...))}
}

// ClassOf is the class of an error, or nil if it has none.
func ClassOf(err error) error {
	var f *failure
	if errors.As(err, &f) {
		return f.class
	}
	return nil
}

// DiskFull gives an error its class if a full disk is the cause. It returns other errors as they
// are.
func DiskFull(dir string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return New(ErrDiskFull, err, "there is no room on the disk of %s: %v", dir, err)
	}
	return err
}

// MaxText is the longest error text, in bytes; an event's message may have 1,024.
const MaxText = 700

// OneLine makes one printable line of s.
func OneLine(s string) string {
	s = strings.ToValidUTF8(s, "?")
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= MaxText {
		return s
	}
	cut := MaxText
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// OfRegistry gives a class to an error of a request to a registry. subject is the repository,
// manifest or blob that was requested.
func OfRegistry(host, subject string, err error) error {
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return New(nil, err, "registry %s: %s", host, WithoutQuery(err))
	}
	said := answerText(answer)
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return New(ErrUnauthorized, err, "registry %s refuses access to %s: %s", host, subject, said)
	case http.StatusNotFound:
		return New(ErrNotFound, err, "registry %s has no %s: %s", host, subject, said)
	default:
		return New(nil, err, "registry %s, asked for %s: %s", host, subject, said)
	}
}

// answerText is the text of a registry's answer, without the request.
func answerText(answer *transport.Error) string {
	text := fmt.Sprintf("%d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	for _, d := range answer.Errors {
		text += fmt.Sprintf(" (%s: %.200s)", d.Code, d.Message)
	}
	return text
}

// WithoutQuery is err's text without the query of the URL in it. The query may contain a signature
// that gives access.
func WithoutQuery(err error) string {
	text := err.Error()
	var at *url.Error
	if errors.As(err, &at) {
		if bare, query, has := strings.Cut(at.URL, "?"); has && query != "" {
			text = strings.ReplaceAll(text, at.URL, bare)
		}
	}
	return text
}
