package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
)

// maxConfigFile is far more than every setting together needs, in bytes.
const maxConfigFile = 1 << 20

// readConfigFile returns the file's bytes. The error is fs.ErrNotExist if there is no file.
func readConfigFile(path string) ([]byte, error) {
	if err := believable(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, FileError(path, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxConfigFile+1))
	// Even if closing fails, the content that was read is complete.
	_ = f.Close()
	if err != nil {
		return nil, FileError(path, err)
	}
	if len(data) > maxConfigFile {
		return nil, fmt.Errorf("%s is larger than %d bytes: is it the right file?", path, maxConfigFile)
	}
	return data, nil
}

// parseConfigFile returns the content of the file, by key. The error joins all problems. Values
// without a problem are returned too.
//
// The file is one JSON object. The case of keys matters. No key may occur twice. encoding/json
// alone would silently accept any case, and would use the last of two equal keys.
func parseConfigFile(path string, data []byte) (map[string]given, error) {
	members, err := objectMembers(data)
	if err != nil {
		return nil, fmt.Errorf("configuration file %s: %w", path, err)
	}
	byKey := map[string]setting{}
	var keys []string
	for _, s := range settings() {
		if s.key != "" {
			byKey[s.key] = s
			keys = append(keys, s.key)
		}
	}
	values := map[string]given{}
	var errs []error
	seen := map[string]bool{}
	for _, m := range members {
		s, known := byKey[m.key]
		switch {
		case seen[m.key]:
			errs = append(errs, fmt.Errorf("configuration file %s: the key %q is there twice: keep one", path, m.key))
			continue
		case !known:
			errs = append(errs, fmt.Errorf("configuration file %s: unknown key %q%s", path, m.key, cmdline.DidYouMean(m.key, keys)))
			continue
		}
		seen[m.key] = true
		g, present, err := fileValue(s.kind, m.value)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("configuration file %s: key %q: %w", path, m.key, err))
		case present:
			g.from = fmt.Sprintf("configuration file %s: key %q", path, m.key)
			values[m.key] = g
		}
	}
	return values, errors.Join(errs...)
}

// fileValue reads a value of a kind. null means that the setting is absent, as in Krustlet.
func fileValue(k kind, raw json.RawMessage) (g given, present bool, err error) {
	if string(raw) == "null" {
		return given{}, false, nil
	}
	wrong := fmt.Errorf("%s is not %s", shorten(string(raw)), k.form())
	switch k {
	case text:
		err = json.Unmarshal(raw, &g.text)
	case number:
		// Strings, fractions and exponents are refused here. The setting itself checks the range.
		g.text = string(raw)
		if strings.Trim(g.text, "-0123456789") != "" {
			err = wrong
		}
	case boolean:
		var b bool
		err = json.Unmarshal(raw, &b)
		g.text = fmt.Sprint(b)
	case list:
		g.items, err = stringArray(raw)
	case object:
		g.items, err = stringObject(raw)
	}
	var twice *duplicateError
	switch {
	case errors.As(err, &twice):
		return given{}, false, err
	case err != nil:
		return given{}, false, wrong
	}
	return g, true, nil
}

func stringArray(raw json.RawMessage) ([]string, error) {
	var pointers []*string // pointers, so that null is not taken for ""
	if err := json.Unmarshal(raw, &pointers); err != nil {
		return nil, err
	}
	items := []string{}
	for _, p := range pointers {
		if p == nil {
			return nil, errors.New("null in an array")
		}
		items = append(items, *p)
	}
	return items, nil
}

// stringObject returns the members as key=value, in the order of the keys.
func stringObject(raw json.RawMessage) ([]string, error) {
	members, err := objectMembers(raw)
	if err != nil {
		return nil, err
	}
	items := []string{}
	seen := map[string]bool{}
	for _, m := range members {
		var value *string
		if err := json.Unmarshal(m.value, &value); err != nil {
			return nil, err
		}
		if value == nil {
			return nil, errors.New("null in an object")
		}
		if seen[m.key] {
			return nil, &duplicateError{key: m.key}
		}
		seen[m.key] = true
		items = append(items, m.key+"="+*value)
	}
	slices.Sort(items)
	return items, nil
}

// duplicateError is about a key that occurs twice in an object.
type duplicateError struct{ key string }

func (e *duplicateError) Error() string {
	return fmt.Sprintf("%q is there twice: keep one", e.key)
}

type member struct {
	key   string
	value json.RawMessage
}

// objectMembers returns the members of a JSON object, in their order. If a key occurs twice, both
// members are in the result.
func objectMembers(data []byte) ([]member, error) {
	if err := checkSyntax(data); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New(`it is not a JSON object; write {"key": value, ...}`)
	}
	var members []member
	for dec.More() {
		// If the object has one more member, the next token is its key.
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		m := member{}
		m.key, _ = token.(string)
		if err := dec.Decode(&m.value); err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	return members, nil
}

// checkSyntax says where the JSON is wrong. It runs before the decoder, because the decoder reports
// the offset of its current token, and does not look at data after the value.
func checkSyntax(data []byte) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return errors.New("it is empty; write {} or remove it")
	}
	if !utf8.Valid(data) {
		return errors.New("it is not valid UTF-8")
	}
	var whole json.RawMessage
	err := json.Unmarshal(data, &whole)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		// The offset is that of the byte after the wrong one.
		return fmt.Errorf("it is not valid JSON at %s: %w", position(data, syntax.Offset-1), err)
	}
	return err
}

// position turns an offset in bytes into line and column, both from 1.
func position(data []byte, offset int64) string {
	before := data[:min(max(offset, 0), int64(len(data)))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Sprintf("line %d, column %d", line, column)
}

// shorten turns a value that a message quotes into one short line.
func shorten(value string) string {
	value = strings.Join(strings.Fields(value), " ")
	if runes := []rune(value); len(runes) > 60 {
		return string(runes[:60]) + "..."
	}
	return value
}
