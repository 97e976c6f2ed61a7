package translate

import "errors"

// Info is what is known of a module without its engine. Its names and offsets stay encoded: they are looked up where they lie, in
// the bytes that ReadInfo was given.
type Info struct {
	// Functions is how many functions the original has, imported ones included. Those behind are ours.
	Functions uint32
	// Memories and Tables are those that the module defines, not those that it imports.
	Memories []Memory
	Tables   []Table
	// Starts reports whether there is StartExport.
	Starts bool
	// Grows reports whether there is GrowExport.
	Grows bool
	// Overhead estimates what the engine's own tables for the module take on the heap, in bytes, code and data left out.
	Overhead uint64

	shifts []byte
	names  []byte
}

// Memory is a linear memory. Sizes are in pages of 64 KiB.
type Memory struct {
	Index    uint32
	Min, Max uint64 // Max is the most that there can be where the module sets none
}

// Table is a table. Sizes are in elements.
type Table struct {
	Index    uint32
	Min, Max uint64
}

// MemoryBytes is what all memories have at the start.
func (i *Info) MemoryBytes() uint64 { return 0 }

// TableBytes is what all tables have at the start, 8 bytes an element.
func (i *Info) TableBytes() uint64 { return 0 }

// Name is a function's name by its number, "" if it has none.
func (i *Info) Name(function uint32) string { return "" }

// Original is the offset in the original module of what is at the offset in the translated one.
func (i *Info) Original(offset uint64) uint64 { return offset }

// Append encodes the info behind b.
func (i *Info) Append(b []byte) []byte { return b }

// ReadInfo decodes what Append has encoded, and nothing behind it. What it returns uses b's memory. Bytes that Append has not made
// give an error, or an info with wrong names and offsets.
func ReadInfo(b []byte) (*Info, error) { return nil, errors.New("not yet") }
