package translate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sort"

	"github.com/krustlet-go/krustlet-wasi/runtime/visible"
)

// Info is the data about a module that needs no engine. Its names and offsets stay encoded; they
// are looked up in the bytes that ReadInfo got.
type Info struct {
	// Functions is the number of functions in the original, with imported ones. Functions with
	// higher numbers are added ones.
	Functions uint32
	// Memories and Tables are those that the module defines. They do not include imports and
	// GrowExport.
	Memories []Memory
	Tables   []Table
	// Starts reports whether there is a StartExport.
	Starts bool
	// Grows reports whether there is a GrowExport.
	Grows bool
	// Heap reports whether instances may have objects or exceptions, which are in a memory of the
	// engine's own.
	Heap bool
	// Module is the module's own name, "" if it has none. It has at most 128 bytes, and no control
	// characters.
	Module string
	// Overhead estimates the heap memory of the engine's own tables for the module, in bytes,
	// without code and data.
	Overhead uint64
	// InstanceOverhead estimates the bytes that each instance takes, without its memories and
	// tables.
	InstanceOverhead uint64

	shifts      []byte
	nameEntries []byte
	nameText    []byte
	calls       callTable
}

// Memory is a linear memory. Sizes are in pages of 64 KiB.
type Memory struct {
	Index    uint32
	Min, Max uint64 // Max is the largest possible size if the module sets none
}

// Table is a table. Sizes are in elements.
type Table struct {
	Index    uint32
	Min, Max uint64
}

const (
	pageSize    = 64 << 10
	elementSize = 8
)

// MemoryBytes returns the total size of all memories at the start.
func (i *Info) MemoryBytes() (n uint64) {
	for _, m := range i.Memories {
		n = add(n, m.Min*pageSize)
	}
	return n
}

// TableBytes returns the total size of all tables at the start, with 8 bytes for an element.
func (i *Info) TableBytes() (n uint64) {
	for _, t := range i.Tables {
		n = add(n, t.Min*elementSize)
	}
	return n
}

// add stops at the largest number, because the numbers of an info that was read may be wrong.
func add(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

// Name returns a function's name by its number, or "" if it has none. The name has at most 128
// bytes, and no control characters.
func (i *Info) Name(function uint32) string {
	entry := func(e int) (function, end uint32) {
		return binary.LittleEndian.Uint32(i.nameEntries[nameEntry*e:]), binary.LittleEndian.Uint32(i.nameEntries[nameEntry*e+4:])
	}
	n := len(i.nameEntries) / nameEntry
	e := sort.Search(n, func(e int) bool {
		f, _ := entry(e)
		return f >= function
	})
	if e == n {
		return ""
	}
	f, end := entry(e)
	start := uint32(0)
	if e > 0 {
		_, start = entry(e - 1)
	}
	if f != function || start > end || uint64(end) > uint64(len(i.nameText)) || end-start > maxName {
		return ""
	}
	return visible.Name(i.nameText[start:end])
}

// Original converts an offset in the translated module to the offset in the original module.
func (i *Info) Original(offset uint64) uint64 { return original(i.shifts, offset) }

// infoVersion is at the beginning of an encoded info.
const infoVersion = 2

const (
	infoStarts = 1 << iota
	infoGrows
	infoHeap
)

// Sizes of the encoded info's beginning, and of its memories and tables.
const (
	infoHead = 1 + 1 + 2 + 2 + 4 + 8 + 8 + 6*4
	infoItem = 4 + 8 + 8
)

// Append appends the encoded info to b.
func (i *Info) Append(b []byte) []byte {
	flags := byte(0)
	if i.Starts {
		flags |= infoStarts
	}
	if i.Grows {
		flags |= infoGrows
	}
	if i.Heap {
		flags |= infoHeap
	}
	le := binary.LittleEndian
	b = append(b, infoVersion, flags)
	b = le.AppendUint16(b, uint16(len(i.Memories)))
	b = le.AppendUint16(b, uint16(len(i.Tables)))
	b = le.AppendUint32(b, i.Functions)
	b = le.AppendUint64(b, i.Overhead)
	b = le.AppendUint64(b, i.InstanceOverhead)
	for _, part := range [][]byte{i.shifts, i.nameEntries, i.nameText, []byte(i.Module), i.calls.entries, i.calls.text} {
		b = le.AppendUint32(b, uint32(len(part)))
	}
	item := func(index uint32, least, most uint64) {
		b = le.AppendUint64(le.AppendUint64(le.AppendUint32(b, index), least), most)
	}
	for _, m := range i.Memories {
		item(m.Index, m.Min, m.Max)
	}
	for _, t := range i.Tables {
		item(t.Index, t.Min, t.Max)
	}
	b = append(b, i.shifts...)
	b = append(b, i.nameEntries...)
	b = append(append(b, i.nameText...), i.Module...)
	return append(append(b, i.calls.entries...), i.calls.text...)
}

var errInfo = errors.New("damaged: what is known of the module cannot be read")

// ReadInfo decodes all of b, which Append has made. The Info uses b's memory. Other bytes cause an
// error, or an info with wrong but bounded numbers, names and offsets.
func ReadInfo(b []byte) (*Info, error) {
	le := binary.LittleEndian
	if len(b) < infoHead || b[0] != infoVersion || b[1] > infoStarts|infoGrows|infoHeap {
		return nil, errInfo
	}
	i := &Info{
		Starts:           b[1]&infoStarts != 0,
		Grows:            b[1]&infoGrows != 0,
		Heap:             b[1]&infoHeap != 0,
		Functions:        le.Uint32(b[6:]),
		Overhead:         le.Uint64(b[10:]),
		InstanceOverhead: le.Uint64(b[18:]),
	}
	memories, tables := int(le.Uint16(b[2:])), int(le.Uint16(b[4:]))
	var sizes [6]uint64 // of the parts
	want := infoHead + uint64(infoItem*(memories+tables))
	for n := range sizes {
		sizes[n] = uint64(le.Uint32(b[26+4*n:]))
		want += sizes[n]
	}
	if want != uint64(len(b)) || sizes[0]%shiftSize != 0 || sizes[1]%nameEntry != 0 || sizes[3] > maxName || sizes[4]%callEntry != 0 {
		return nil, fmt.Errorf("%w: it has %d bytes and needs %d", errInfo, len(b), want)
	}
	rest := b[infoHead:]
	item := func() (index uint32, least, most uint64) {
		index, least, most = le.Uint32(rest), le.Uint64(rest[4:]), le.Uint64(rest[12:])
		rest = rest[infoItem:]
		return index, min(least, 1<<40), min(most, 1<<40)
	}
	for range memories {
		var m Memory
		m.Index, m.Min, m.Max = item()
		i.Memories = append(i.Memories, m)
	}
	for range tables {
		var t Table
		t.Index, t.Min, t.Max = item()
		i.Tables = append(i.Tables, t)
	}
	part := func(n int) []byte {
		p := rest[:sizes[n]:sizes[n]]
		rest = rest[sizes[n]:]
		return p
	}
	i.shifts, i.nameEntries, i.nameText = part(0), part(1), part(2)
	i.Module = visible.Name(part(3))
	i.calls.entries, i.calls.text = part(4), part(5)
	return i, nil
}
