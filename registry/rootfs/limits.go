package rootfs

import (
	"errors"
	"fmt"
)

// The classes of what is wrong with an image, for errors.Is. Other errors are of the disk, or of a
// context.
var (
	// ErrInvalid is a layer that is no tar, or has what no image may have.
	ErrInvalid = errors.New("invalid image layer")
	// ErrTooLarge is an image beyond its Limits.
	ErrTooLarge = errors.New("the image is too large")
	// ErrDigest is a layer of other content than the image's config says.
	ErrDigest = errors.New("the layer's content does not match its digest")
)

// Limits bound what the layers of an image may unpack to, all together.
type Limits struct {
	Bytes   int64 // of the tars once they are not compressed any more, and of all files
	Entries int   // files, directories, links and whatever else has a header
}

// Bounds that no honest image comes near.
const (
	maxPath    = 2048      // bytes of a path in the image
	maxDepth   = 128       // directories above a file
	maxLinks   = 40        // symbolic links on the way to a file, as in Linux
	maxNames   = 64 << 20  // bytes of all names together, which are held in memory
	maxModules = 4096      // WebAssembly files
	maxRatio   = 200       // times that a layer may grow when it is unpacked, once that is
	ratioFrom  = 64 << 20  // more bytes than these
	maxWindow  = 128 << 20 // bytes that zstd may look back, as by `zstd --long`
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

func tooLarge(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrTooLarge, fmt.Sprintf(format, args...))
}
