package config

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxValue = 1 << 20 // bytes
	maxKeys  = 10_000
	maxTotal = 8 << 20 // bytes of names and values in All
)

// Store has the values of a guest.
type Store struct {
	env     []string
	folders []string
}

// New makes a Store of an environment, each entry KEY=VALUE, and of folders of the host.
func New(env, folders []string) *Store { return &Store{env, folders} }

// Unfit is the error of what a guest cannot be given as a value.
type Unfit struct{ why string }

func (u *Unfit) Error() string { return u.why }

var (
	errNotText  = &Unfit{"it is not UTF-8"}
	errTooLarge = &Unfit{fmt.Sprintf("it has more than %d bytes", maxValue)}
	errTooMany  = &Unfit{fmt.Sprintf("there are more than %d keys", maxKeys)}
	errTooMuch  = &Unfit{fmt.Sprintf("they have more than %d bytes", maxTotal)}
)

// Get returns the value of a key. The bool reports whether there is one.
func (s *Store) Get(key string) (value string, ok bool, err error) {
	if isFileName(key) {
		for _, name := range s.folders {
			value, ok, err = getFrom(name, key)
			if ok || err != nil {
				return value, ok, err
			}
		}
	}
	for _, e := range s.env {
		if k, v, _ := strings.Cut(e, "="); k == key {
			if err := check(v); err != nil {
				return "", false, fmt.Errorf("reading the value of %q: %w", key, err)
			}
			return v, true, nil
		}
	}
	return "", false, nil
}

// All returns all keys with their values, in the order of the keys. It calls look between two
// pieces of its work, and returns an error of that as it is.
func (s *Store) All(ctx context.Context, look func(ctx context.Context) error) ([][2]string, error) {
	values := gathered{all: map[string]string{}}
	for _, name := range s.folders {
		found, err := allOf(ctx, name, &values, look)
		if err != nil {
			return nil, err
		}
		for key, value := range found {
			if err := values.add(key, value); err != nil {
				return nil, err
			}
		}
	}
	for i, e := range s.env {
		if i%512 == 0 {
			if err := look(ctx); err != nil {
				return nil, err
			}
		}
		key, value, _ := strings.Cut(e, "=")
		if !utf8.ValidString(key) || values.has(key) {
			continue
		}
		if err := check(value); err != nil {
			return nil, fmt.Errorf("reading the value of %q: %w", key, err)
		}
		if err := values.add(key, value); err != nil {
			return nil, err
		}
	}
	list := make([][2]string, 0, len(values.all))
	for _, key := range slices.Sorted(maps.Keys(values.all)) {
		list = append(list, [2]string{key, values.all[key]})
	}
	return list, nil
}

// check returns an error if a text cannot be a value.
func check(value string) error {
	switch {
	case len(value) > maxValue:
		return errTooLarge
	case !utf8.ValidString(value):
		return errNotText
	}
	return nil
}

// gathered are values that were found, within the bounds of All.
type gathered struct {
	all  map[string]string
	size int
}

func (g *gathered) has(key string) bool {
	_, ok := g.all[key]
	return ok
}

// left is how many bytes may still be added.
func (g *gathered) left() int { return maxTotal - g.size }

// add adds a value, unless its key is there.
func (g *gathered) add(key, value string) error {
	if g.has(key) {
		return nil
	}
	if len(g.all) == maxKeys {
		return fmt.Errorf("reading all values: %w", errTooMany)
	}
	if g.size += len(key) + len(value); g.size > maxTotal {
		return fmt.Errorf("reading all values: %w", errTooMuch)
	}
	g.all[key] = value
	return nil
}
