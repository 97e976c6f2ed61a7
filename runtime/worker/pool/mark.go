package pool

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

const keySize = 32

// key makes and checks the marks of one worker's runs. A worker gets a run's mark with its start,
// and sends it to each agent. So it can only claim runs that an agent has started in it. The nil
// key accepts no mark. A worker without a key has the nil key, because agents of earlier versions
// made no keys.
type key []byte

func readKey(dir string) (key, error) {
	file, err := wire.OpenPlain(unix.AT_FDCWD, dir+wire.KeySuffix, dir+wire.KeySuffix)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(file, keySize+1))
	if err == nil && len(text) != keySize {
		err = fmt.Errorf("%s has not %d bytes", file.Name(), keySize)
	}
	if err != nil {
		return nil, err
	}
	return text, nil
}

// mark is the mark of a run; nil for a nil key.
func (k key) mark(id string, of runtime.Origin) []byte {
	if k == nil {
		return nil
	}
	sum := hmac.New(sha256.New, k)
	for _, word := range []string{id, of.Pod, of.Container, of.ImageID, of.Beside} {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(word)))
		_, _ = sum.Write(append(size[:], word...)) // it never fails
	}
	var attempt [4]byte
	binary.BigEndian.PutUint32(attempt[:], uint32(of.Attempt))
	_, _ = sum.Write(attempt[:])
	return sum.Sum(nil)
}

// made reports whether the mark is that of the run.
func (k key) made(mark []byte, id string, of runtime.Origin) bool {
	return k != nil && hmac.Equal(mark, k.mark(id, of))
}
