package registry

import (
	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
)

// Types of the packages below that callers need.
type (
	// Keys finds the credentials for an image.
	Keys = distribution.Keys
	// ImageConfig says how an image should run.
	ImageConfig = manifest.Config
)

// The classes of errors, for errors.Is. Package fault explains them.
var (
	ErrInvalidReference = fault.ErrInvalidReference
	ErrLocalModules     = fault.ErrLocalModules
	ErrNotWasm          = fault.ErrNotWasm
	ErrInvalidImage     = fault.ErrInvalidImage
	ErrNoProgram        = fault.ErrNoProgram
	ErrDigestMismatch   = fault.ErrDigestMismatch
	ErrTooLarge         = fault.ErrTooLarge
	ErrNotFound         = fault.ErrNotFound
	ErrUnauthorized     = fault.ErrUnauthorized
	ErrDiskFull         = fault.ErrDiskFull
)
