package validate

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
)

// program has some of everything: resources, a component in it that is instantiated twice,
// adapters, types that are shared and named, and all options.
const program = `(component
	(import "wasi:io/streams@0.2.0" (instance $io
		(export "stream" (type $stream (sub resource)))
		(type $e (variant (case "closed") (case "failed" string)))
		(export "error" (type $error (eq $e)))
		(export "[method]stream.write" (func (param "self" (borrow $stream)) (param "data" (list u8)) (result (result u32 (error $error)))))))
	(alias export $io "stream" (type $stream))
	(alias export $io "[method]stream.write" (func $write))
	(core module $libc (memory (export "m") 1) (table (export "t") 1 funcref)
		(func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
	(core instance $libc (instantiate $libc))
	(alias core export $libc "m" (core memory $m))
	(alias core export $libc "realloc" (core func $realloc))
	(core func $write' (canon lower (func $write) (memory $m) (realloc $realloc)))
	(core func $drop (canon resource.drop $stream))
	(type $thing (resource (rep i32)))
	(core func $new (canon resource.new $thing))
	(core module $main (import "io" "write" (func (param i32 i32 i32 i32))) (import "io" "drop" (func (param i32)))
		(import "io" "new" (func (param i32) (result i32))) (import "libc" "m" (memory 1))
		(func (export "run") (param i32 i32) (result i32) unreachable) (func (export "post") (param i32))
		(func (export "start") (param i32) (result i32) unreachable) (func (export "cb") (param i32 i32 i32) (result i32) unreachable)
		(func (export "make") (result i32) unreachable))
	(core instance $main (instantiate $main (with "libc" (instance $libc))
		(with "io" (instance (export "write" (func $write')) (export "drop" (func $drop)) (export "new" (func $new))))))
	(alias core export $main "run" (core func $run)) (alias core export $main "post" (core func $post))
	(alias core export $main "make" (core func $make))
	(func $f (param "s" string) (result (list u16)) (canon lift (core func $run) (memory $m) (realloc $realloc) (post-return $post)))
	(component $shape
		(import "f" (func $f (param "s" string) (result (list u16))))
		(import "thing" (type $t (sub resource)))
		(import "make" (func $make (result (own $t))))
		(export $t' "thing" (type $t)) (export "[constructor]thing" (func $make) (func (result (own $t')))) (export "f" (func $f)))
	(func $make (result (own $thing)) (canon lift (core func $make)))
	(instance $a (instantiate $shape (with "f" (func $f)) (with "thing" (type $thing)) (with "make" (func $make))))
	(instance $b (instantiate $shape (with "f" (func $f)) (with "thing" (type $thing)) (with "make" (func $make))))
	(export "wasi:cli/run@0.2.0" (instance $a))
	(type $st (stream u8)) (core func (canon stream.new $st)) (core func (canon stream.read $st async (memory $m)))
	(core func (canon waitable-set.wait (memory $m))) (core func (canon task.return (result string) (memory $m)))
	(core type $mt (module (type (func (param i32))) (import "a" "b" (func (type 0))) (export "c" (memory 1))))
	(component (type $ct (component (import "x" (type $x (sub resource))) (export "y" (instance (export "z" (type (eq $x)))))))
		(import "c" (component (type $ct)))))`

func seeds(t testing.TB) [][]byte {
	var all [][]byte
	for _, wat := range []string{
		program, lifted(`(result i32)`, `(result u8)`, `(post-return $post)`), lifted(`(param i32 i32)`, `(param "a" string)`, both),
		lowered(`(result string)`, both, `(param i32)`), `(component (type (list u8)))`,
		`(component ` + libc + `(type (resource (rep i32) (dtor (func $post)))))`,
		lifted(`(param i32 i64 f32 f64 i32 i64 i32) (result i32)`, `(param "a" char) (param "b" s64) (param "c" f32) (param "d" f64)
			(param "e" (variant (case "x" f32) (case "y" u64) (case "z" (tuple u8 u8)))) (result bool)`, memory),
	} {
		data, err := wasmtime.Wat2Wasm(wat)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data)
	}
	return all
}

func TestSeedsAreValid(t *testing.T) {
	for _, s := range seeds(t) {
		c, err := binary.Decode(s)
		if err == nil {
			err = Validate(c)
		}
		if err == nil {
			err = check(c)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// FuzzValidate validates any component, and looks with other eyes at those that pass.
func FuzzValidate(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := binary.Decode(data)
		if err != nil || Validate(c) != nil {
			return
		}
		if err := check(c); err != nil {
			t.Error(err)
		}
	})
}

// FuzzMutants changes definitions of components that are valid: indices, sorts, names, flags.
func FuzzMutants(f *testing.F) {
	all := seeds(f)
	for i := range all {
		f.Add(uint8(i), uint64(i))
	}
	f.Fuzz(func(t *testing.T, which uint8, seed uint64) {
		c, err := binary.Decode(all[int(which)%len(all)])
		if err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(seed, 0))
		places := places(c)
		for range 1 + random.IntN(3) {
			mutate(random, places)
		}
		if Validate(c) != nil {
			return
		}
		if err := check(c); err != nil {
			t.Error(err)
		}
	})
}

// places returns the fields of a component's definitions that can be changed.
func places(c *binary.Component) (all []reflect.Value) {
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Slice:
			if v.Type().Elem().Kind() == reflect.Uint8 {
				return // a module
			}
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i))
			}
		case reflect.Uint32, reflect.Bool, reflect.String, reflect.Uint8:
			if v.CanSet() {
				all = append(all, v)
			}
		}
	}
	walk(reflect.ValueOf(c))
	return all
}

func mutate(random *rand.Rand, places []reflect.Value) {
	v := places[random.IntN(len(places))]
	switch v.Kind() {
	case reflect.Uint32:
		v.SetUint((v.Uint() + uint64(random.IntN(5)) - 2) & 0xffff_ffff)
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.String:
		if from := places[random.IntN(len(places))]; from.Kind() == reflect.String {
			v.SetString(from.String())
		}
	case reflect.Uint8:
		if from := places[random.IntN(len(places))]; from.Type() == v.Type() {
			v.Set(from)
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	c, err := binary.Decode(seeds(b)[0])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := Validate(c); err != nil {
			b.Fatal(err)
		}
	}
}
