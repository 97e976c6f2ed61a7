// Package binary reads the binary form of components into definitions, in their order. What the
// format allows but no component may have is left to validation.
package binary
