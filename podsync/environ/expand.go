package environ

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Expand replaces $(NAME) with the variable's value. $$ means one $, so $$(NAME) becomes $(NAME). A
// reference to an unknown variable stays.
func Expand(text string, env []corev1.EnvVar) string {
	return expandBy(text, func(name string) (string, bool) { return lookup(env, name) })
}

func expandBy(text string, variable func(name string) (string, bool)) string {
	var out strings.Builder
	for {
		i := strings.IndexByte(text, '$')
		if i < 0 || i == len(text)-1 {
			out.WriteString(text)
			return out.String()
		}
		out.WriteString(text[:i])
		text = text[i+1:]
		end := strings.IndexByte(text, ')')
		switch {
		case text[0] == '$':
			out.WriteByte('$')
			text = text[1:]
		case text[0] == '(' && end > 0:
			name := text[1:end]
			if value, ok := variable(name); ok {
				out.WriteString(value)
			} else {
				out.WriteString("$(" + name + ")")
			}
			text = text[end+1:]
		default:
			out.WriteByte('$')
		}
	}
}

func lookup(env []corev1.EnvVar, name string) (string, bool) {
	for _, v := range env {
		if v.Name == name {
			return v.Value, true
		}
	}
	return "", false
}

// ExpandAll expands references to a run's variables.
func ExpandAll(argv, environ []string) []string {
	var env []corev1.EnvVar
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		env = append(env, corev1.EnvVar{Name: name, Value: value})
	}
	expanded := make([]string, len(argv))
	for i, a := range argv {
		expanded[i] = Expand(a, env)
	}
	return expanded
}

// ExpandStrictly is Expand, but it returns an error for an unknown variable. The entries of env are
// KEY=VALUE.
func ExpandStrictly(text string, env []string) (string, error) {
	var missing []string
	expanded := expandBy(text, func(name string) (string, bool) {
		for _, entry := range env {
			if value, ok := strings.CutPrefix(entry, name+"="); ok {
				return value, true
			}
		}
		missing = append(missing, name)
		return "", false
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("missing value for %q", missing[0])
	}
	return expanded, nil
}
