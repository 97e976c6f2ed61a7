package rootfs

import (
	"errors"
	"fmt"
)

// The classes of errors that an image causes, for errors.Is. Other errors come from the disk or a
// context.
var (
	// ErrInvalid is a layer that is no tar, or has content that no image may have.
	ErrInvalid = errors.New("invalid image layer")
	// ErrTooLarge is an image above its Limits.
	ErrTooLarge = errors.New("the image is too large")
	// ErrDigest is a layer whose content differs from the digest in the image's config.
	ErrDigest = errors.New("the layer's content does not match its digest")
)

// Limits bound what all layers of an image together may unpack to.
type Limits struct {
	Bytes   int64 // of all tars without compression, and of all files
	Entries int   // files, directories, links and everything else with a header
}

// Bounds that are far above all normal images.
const (
	maxPath    = 2048      // bytes of a path in the image
	maxDepth   = 128       // directories above a file
	maxLinks   = 40        // symbolic links on the way to a file, as in Linux
	maxNames   = 64 << 20  // bytes of all names together, because they are held in memory
	maxModules = 4096      // WebAssembly files
	maxRatio   = 200       // how many times larger a layer may become, once it has
	ratioFrom  = 64 << 20  // unpacked more than this number of bytes
	maxWindow  = 128 << 20 // how far back zstd may refer, in bytes, as by `zstd --long`
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

func tooLarge(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrTooLarge, fmt.Sprintf(format, args...))
}
