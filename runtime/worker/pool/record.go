package pool

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"

	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

// note makes the record of a new worker, and the key for the marks of its runs.
func note(dir string, info wire.Info) error {
	text, err := json.Marshal(info)
	if err != nil {
		return err
	}
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	return errors.Join(create(dir+wire.KeySuffix, key), create(dir+wire.RecordSuffix, append(text, '\n')))
}

func create(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}
