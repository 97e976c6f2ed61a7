package registry

import (
	"errors"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
)

// Verification says who may use an image that is on disk. Its values are those of the kubelet's
// imagePullCredentialsVerificationPolicy. For a caller that may not use it, the registry is asked.
type Verification string

const (
	// NeverVerify: every pod may use it.
	NeverVerify Verification = "NeverVerify"
	// NeverVerifyPreloadedImages: every pod, if the image was preloaded; otherwise only pods with
	// the credentials that it was pulled with.
	NeverVerifyPreloadedImages Verification = "NeverVerifyPreloadedImages"
	// NeverVerifyAllowlistedImages: every pod, if the image is in a list; otherwise as with
	// AlwaysVerify.
	NeverVerifyAllowlistedImages Verification = "NeverVerifyAllowlistedImages"
	// AlwaysVerify: only pods with the credentials that it was pulled with.
	AlwaysVerify Verification = "AlwaysVerify"
)

// Verifications are all policies.
var Verifications = []Verification{NeverVerify, NeverVerifyPreloadedImages, NeverVerifyAllowlistedImages, AlwaysVerify}

// CheckAllowed reports what is wrong with an item of the list for NeverVerifyAllowlistedImages.
func CheckAllowed(item string) error {
	before, all := strings.CutSuffix(item, "/*")
	switch {
	case strings.Contains(before, "*"):
		return errors.New("* may only be all that is behind the last /")
	case before == "" || strings.ContainsAny(item, " \t\n"):
		return errors.New("write an image's name, or how names begin and /*")
	case all:
		return nil
	case before != nameOnly(before):
		return errors.New("an image is named without tag and digest")
	}
	_, err := distribution.ParseReference(before, distribution.HostPolicy{})
	return err
}

// allowed reports whether an image is in a list. As in the kubelet, the list has names as pods
// write them.
func allowed(list []string, image string) bool {
	name := nameOnly(image)
	for _, item := range list {
		if before, all := strings.CutSuffix(item, "*"); name == item || all && strings.HasPrefix(name, before) {
			return true
		}
	}
	return false
}

// nameOnly is an image's reference without tag and digest.
func nameOnly(image string) string {
	name, _, _ := strings.Cut(image, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	return name
}
