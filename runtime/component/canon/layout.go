package canon

import (
	"unicode/utf8"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// field returns the type and the place of a field of a record or tuple, or of an element of a list
// of fixed length.
func field(t *types.Type, i int, at uint32, flat bool) (*types.Type, uint32) {
	if t.Kind == types.FixedList {
		e := t.Elems[0]
		if flat {
			return e, at + uint32(i*len(e.Flat))
		}
		return e, at + uint32(i)*e.Size
	}
	if flat {
		return t.Elems[i], at + t.Slots[i]
	}
	return t.Elems[i], at + t.Offsets[i]
}

// payload returns where the value of a case lies.
func payload(t *types.Type, at uint32, flat bool) uint32 {
	if flat {
		return at + 1
	}
	return at + t.Payload
}

func flagsMask(t *types.Type) uint32 { return uint32(uint64(1)<<len(t.Labels) - 1) }

const maxChar, firstSurrogate, lastSurrogate = 0x10ffff, 0xd800, 0xdfff

func toChar(v uint32) rune {
	if v > maxChar || v >= firstSurrogate && v <= lastSurrogate {
		Trapf("the guest gave a char that is no Unicode scalar value")
	}
	return rune(v)
}

func fromChar(v rune) uint32 {
	if !utf8.ValidRune(v) {
		return utf8.RuneError
	}
	return uint32(v)
}

// kindName names a type that has cases, with its article.
func kindName(t *types.Type) string {
	switch t.Kind {
	case types.Enum:
		return "an enum"
	case types.Option:
		return "an option"
	case types.Result:
		return "a result"
	}
	return "a variant"
}
