package wire

import (
	"fmt"
	"sync"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// codec is gRPC's own codec for protobuf, with buffers of the size of our messages. gRPC's own pool
// would take and clear a buffer of 1 MiB for each chunk of 64 KiB.
type codec struct{ pool mem.BufferPool }

// Codec is for both sides of a connection.
var Codec = codec{pool: &buffers{}}

func (c codec) Name() string { return "proto" }

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no protobuf message", v)
	}
	buf := c.pool.Get(proto.Size(m))
	if _, err := (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend((*buf)[:0], m); err != nil {
		c.pool.Put(buf)
		return nil, err
	}
	return mem.BufferSlice{mem.NewBuffer(buf, c.pool)}, nil
}

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no protobuf message", v)
	}
	buf := data.MaterializeToBuffer(c.pool)
	defer buf.Free()
	return proto.Unmarshal(buf.ReadOnlyData(), m)
}

// buffers is a pool of buffers for messages with one chunk. Other sizes are not kept.
type buffers struct{ pool sync.Pool }

const (
	smallMessage = 4 << 10
	chunkMessage = Chunk + 64 // a chunk and the rest of its message
)

func (b *buffers) Get(n int) *[]byte {
	if n > smallMessage && n <= chunkMessage {
		if buf, ok := b.pool.Get().(*[]byte); ok {
			*buf = (*buf)[:n]
			return buf
		}
		buf := make([]byte, n, chunkMessage)
		return &buf
	}
	buf := make([]byte, n)
	return &buf
}

func (b *buffers) Put(buf *[]byte) {
	if cap(*buf) == chunkMessage {
		b.pool.Put(buf)
	}
}
