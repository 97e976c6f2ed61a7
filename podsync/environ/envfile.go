package environ

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// Files opens files of a pod's volumes. *volume.Volumes is one.
type Files interface {
	Open(volume, path string) (io.ReadCloser, error)
}

// envFileLimit is the size, in bytes, of the largest file of variables that is read.
const envFileLimit = 1 << 20

// file reads a variable from a file. Usually another container of the pod has written the file.
func (b *builder) file(ref *corev1.FileKeySelector) (value string, there bool, err error) {
	f, err := b.from.Files.Open(ref.VolumeName, ref.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && ptr.Deref(ref.Optional, false):
		return "", false, nil
	case err != nil:
		return "", false, fmt.Errorf("couldn't open env file %q of volume %q: %w", ref.Path, ref.VolumeName, err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	text, err := io.ReadAll(io.LimitReader(f, envFileLimit+1))
	if err == nil && len(text) > envFileLimit {
		err = fmt.Errorf("it is larger than %d bytes", envFileLimit)
	}
	if err == nil {
		value, there, err = envFileValue(string(text), ref.Key)
	}
	switch {
	case err != nil:
		return "", false, fmt.Errorf("couldn't parse env file %q of volume %q: %w", ref.Path, ref.VolumeName, err)
	case !there && !ptr.Deref(ref.Optional, false):
		return "", false, fmt.Errorf("environment variable key %q not found in file %q of volume %q", ref.Key, ref.Path, ref.VolumeName)
	}
	return value, there, nil
}

// envFileValue finds a variable in a file of lines NAME='VALUE', which is a small part of a shell's
// syntax. The value is in single quotes and may have several lines. A comment begins with #. It may
// begin in place of a name, or after the value. If there are blanks before the quotes, the value is
// empty. If a name occurs twice, the first value counts, and the rest of the file is not read.
func envFileValue(text, key string) (value string, found bool, err error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	for number := 1; text != ""; number++ {
		line, rest, _ := strings.Cut(text, "\n")
		line = strings.TrimLeft(line, " \t")
		if line == "" || line[0] == '#' {
			text = rest
			continue
		}
		wrong := func(what string) (string, bool, error) { return "", false, fmt.Errorf("line %d: %s", number, what) }
		name, quoted, ok := strings.Cut(line, "=")
		switch {
		case !ok:
			return wrong("there is no '='")
		case name == "":
			return wrong("there is no name before '='")
		case strings.TrimRight(name, " \t") != name:
			return wrong("there is a blank before '='")
		case strings.TrimLeft(quoted, " \t") != quoted:
			if name == key {
				return "", true, nil
			}
			text = rest
			continue
		case !strings.HasPrefix(quoted, "'"):
			return wrong("the value is not in single quotes")
		}
		_, body, _ := strings.Cut(text, "='") // the first = of the line ends the name
		value, rest, ok := strings.Cut(body, "'")
		if !ok {
			return wrong("the single quote is not closed")
		}
		end, rest, _ := strings.Cut(rest, "\n")
		if end = strings.TrimLeft(end, " \t"); end != "" && end[0] != '#' {
			return wrong("something follows the closing quote")
		}
		if name == key {
			return value, true, nil
		}
		number += strings.Count(value, "\n")
		text = rest
	}
	return "", false, nil
}
