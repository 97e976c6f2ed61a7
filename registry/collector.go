package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// CollectorConfig says when unused images are removed.
type CollectorConfig struct {
	// HighPercent is the limit of how full the disk may be, in percent. Above it, images are
	// removed until the disk is no fuller than LowPercent. The images that were unused for the
	// longest time are removed first.
	HighPercent, LowPercent int
	// MinAge is the age that an image must have before it may be removed.
	MinAge time.Duration
	// MaxAge is how long an unused image is kept; 0 means for ever.
	MaxAge time.Duration
	// Used lists the images in use: references and IDs.
	Used func() []string
	// Disk gives the size of the store's disk and its free space, in bytes; nil means that the
	// collector asks the system.
	Disk func() (size, free int64, err error)
	// Removed is called for each module that was removed, unless it is nil.
	Removed func(digest string)
	// Event records an event of the node, a warning, unless it is nil.
	Event func(reason, message string)
}

const (
	// lookPeriod is how often the collector checks the disk. collectPeriod is how often it also
	// notes which images are used. The kubelet does both every 5 minutes.
	lookPeriod    = 10 * time.Second
	collectPeriod = time.Minute
	// eventPeriod is the time between two events that report that no image can be removed.
	eventPeriod = 5 * time.Minute
	// orphanAge is the age at which a blob that no image refers to may be removed.
	orphanAge = time.Hour
)

// Collector removes images from a store. Make one with NewCollector.
type Collector struct {
	store *Store
	cfg   CollectorConfig
	began time.Time // start of this process: an older image may have been used until then

	failed bool                 // whether the last collection failed
	told   map[string]time.Time // time of the last event, by its reason
}

// NewCollector checks cfg and makes a Collector.
func (s *Store) NewCollector(cfg CollectorConfig) (*Collector, error) {
	switch {
	case cfg.HighPercent < 0 || cfg.HighPercent > 100 || cfg.LowPercent < 0 || cfg.LowPercent > 100:
		return nil, fmt.Errorf("the thresholds of image garbage collection are %d and %d; they must be percents", cfg.HighPercent, cfg.LowPercent)
	case cfg.LowPercent >= cfg.HighPercent:
		return nil, fmt.Errorf("the lower threshold of image garbage collection, %d, must be below the higher, %d", cfg.LowPercent, cfg.HighPercent)
	case cfg.MinAge < 0 || cfg.MaxAge < 0:
		return nil, errors.New("the ages of image garbage collection must not be negative")
	case cfg.MaxAge > 0 && cfg.MaxAge <= cfg.MinAge:
		return nil, errors.New("the maximum age of unused images must be above the minimum")
	}
	if cfg.Disk == nil {
		cfg.Disk = func() (int64, int64, error) { return diskOf(s.dir) }
	}
	return &Collector{store: s, cfg: cfg, began: time.Now(), told: map[string]time.Time{}}, nil
}

// diskOf asks the system. The space that is reserved for root counts as taken.
func diskOf(dir string) (size, free int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, fmt.Errorf("reading the size of the disk of %s: %w", dir, err)
	}
	block := int64(st.Bsize)
	return int64(st.Blocks) * block, int64(st.Bavail) * block, nil
}

// Run collects every minute, and at once when the disk is above the threshold or a pull found it
// full, until ctx ends.
func (c *Collector) Run(ctx context.Context) {
	tick := time.NewTicker(lookPeriod)
	defer tick.Stop()
	full, last := false, time.Time{}
	for {
		over := !c.failed && c.above()
		if full || over || time.Since(last) >= collectPeriod {
			c.run(ctx, full)
			last = time.Now()
		}
		full = false
		select {
		case <-tick.C:
		case <-c.store.full:
			full = true
		case <-ctx.Done():
			return
		}
	}
}

func (c *Collector) run(ctx context.Context, full bool) {
	err := c.Collect(ctx, full)
	if err != nil && ctx.Err() == nil {
		c.store.log.Warn("collecting images did not succeed", zap.Error(err))
		if c.failed { // a single failure may be temporary
			c.event("ImageGCFailed", err.Error())
		}
	}
	c.failed = err != nil
}

// above reports whether the disk is above the threshold.
func (c *Collector) above() bool {
	size, free, err := c.cfg.Disk()
	return err == nil && size > 0 && percentOf(size, free) >= c.cfg.HighPercent
}

// percentOf is how full a disk is.
func percentOf(size, free int64) int { return 100 - int(min(free, size)*100/size) }

// Collect checks the disk once, and removes images if it must. full means that a pull found no room
// on the disk. Then Collect frees space as for a full disk, even if the disk is below the
// thresholds, because the pull has already removed what it had written.
func (c *Collector) Collect(ctx context.Context, full bool) error {
	size, free, err := c.cfg.Disk()
	if err != nil {
		return err
	}
	if size <= 0 {
		c.event("InvalidDiskCapacity", "invalid capacity 0 on image filesystem")
		return errors.New("invalid capacity 0 on image filesystem")
	}
	percent := percentOf(size, free)
	var wanted, needed int64 // bytes to free
	if percent >= c.cfg.HighPercent {
		needed = size*int64(100-c.cfg.LowPercent)/100 - free
	}
	if wanted = needed; full {
		wanted = size * int64(100-c.cfg.LowPercent) / 100
	}
	freed, err := c.free(ctx, wanted)
	if err == nil && freed < needed {
		err = fmt.Errorf("the disk of the images is %d %% full (%d of %d bytes are free), and removing all unused images freed only %d of %d bytes; look for what else is on it: logs, volumes, images in use",
			percent, free, size, freed, needed)
		c.event("FreeDiskSpaceFailed", err.Error())
	}
	return err
}

// CollectAll removes all unused images that are old enough, even if the disk has room. It may be
// called while Run runs.
func (c *Collector) CollectAll(ctx context.Context) error {
	_, err := c.free(ctx, math.MaxInt64)
	return err
}

// free removes images that are too old, and then other images until it has freed wanted bytes.
func (c *Collector) free(ctx context.Context, wanted int64) (freed int64, err error) {
	var done Removal
	err = withLock(ctx, c.store.lock(), unix.LOCK_EX, func() error { return c.collect(wanted, &done) })
	for _, digest := range done.Modules {
		if c.cfg.Removed != nil {
			c.cfg.Removed(digest)
		}
	}
	if len(done.Images) > 0 || done.Freed > 0 {
		c.store.log.Info("removed unused images", zap.Strings("images", done.Images), zap.Int64("bytes", done.Freed))
	}
	return done.Freed, err
}

// event records an event, unless it recorded one with the same reason recently.
func (c *Collector) event(reason, message string) {
	if c.cfg.Event == nil || time.Since(c.told[reason]) < eventPeriod {
		return
	}
	c.told[reason] = time.Now()
	c.cfg.Event(reason, message)
}

// collect notes which images are used, removes images that are too old, and then removes others
// until it has freed needed bytes. The caller holds the store's lock.
func (c *Collector) collect(needed int64, done *Removal) error {
	s := c.store
	all, err := s.refs.all()
	if err != nil {
		return err
	}
	used := usageOf(c.cfg.Used(), s.hosts)
	var unused []Image
	for _, image := range imagesOf(all) {
		if !used.image(image) {
			unused = append(unused, image)
		} else if err := s.refs.touch(image.ID); err != nil {
			return fmt.Errorf("noting that image %s is used: %w", image.ID, err)
		}
	}
	slices.SortFunc(unused, func(a, b Image) int { return cmp.Or(a.Used.Compare(b.Used), a.Pulled.Compare(b.Pulled)) })
	age := orphanAge
	if needed > 0 {
		age = c.cfg.MinAge
	}
	errs := []error{s.sweep(all, used, age, done)}
	for _, image := range unused {
		old := c.cfg.MaxAge > 0 && time.Since(image.Used) > c.cfg.MaxAge && time.Since(c.began) > c.cfg.MaxAge
		if time.Since(image.Pulled) >= c.cfg.MinAge && (old || done.Freed < needed) {
			errs = append(errs, s.remove(image, all, done))
		}
	}
	return errors.Join(errs...)
}
