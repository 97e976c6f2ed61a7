package componentengine

import (
	"math"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// garbage fills what is not defined of a value, as a real engine may.
const garbage = 0xdeadbeef << 32

func bits(v wasmtime.Val) uint64 {
	switch v.Kind() {
	case wasmtime.KindI32:
		return uint64(uint32(v.I32())) | garbage
	case wasmtime.KindI64:
		return uint64(v.I64())
	case wasmtime.KindF32:
		return uint64(math.Float32bits(v.F32())) | garbage
	}
	return math.Float64bits(v.F64())
}

func value(kind types.Core, bits uint64) wasmtime.Val {
	switch kind {
	case types.I32:
		return wasmtime.ValI32(int32(uint32(bits)))
	case types.I64:
		return wasmtime.ValI64(int64(bits))
	case types.F32Core:
		return wasmtime.ValF32(math.Float32frombits(uint32(bits)))
	}
	return wasmtime.ValF64(math.Float64frombits(bits))
}

func core(kind wasmtime.ValKind) types.Core {
	switch kind {
	case wasmtime.KindI64:
		return types.I64
	case wasmtime.KindF32:
		return types.F32Core
	case wasmtime.KindF64:
		return types.F64Core
	}
	return types.I32
}
