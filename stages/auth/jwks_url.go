package auth

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/singleflight"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

const (
	fetchTimeout = 5 * time.Second
	fetchWindow  = 30 * time.Second // between two tries, while there are keys
	fetchBackoff = time.Second      // before the second try, while there are none; doubled up to fetchWindow
	freshFor     = 15 * time.Minute // keys are refreshed on use from then on
	usableFor    = 24 * time.Hour   // keys that cannot be refreshed for so long are trusted no more
)

// urlKeys are the keys of a URL. They are fetched in the background at the start
// and refreshed on use: where they are old, or where a token names a key that is
// not among them. While they cannot be refreshed the last good ones serve, up to
// a limit.
type urlKeys struct {
	url    *url.URL
	client *http.Client
	now    func() time.Time
	log    hclog.Logger

	group singleflight.Group // one fetch at a time
	ctx   context.Context    // ends with close
	stop  context.CancelFunc

	mu       sync.Mutex
	set      *keySet // nil until the first good load
	loaded   time.Time
	tried    time.Time
	failures int    // tries in a row that failed
	failing  string // why the last try failed
	tooOld   bool   // said so in the log
	spare    bool   // an unknown key may ask for a fetch at once
}

// Why keys are fetched.
type fetchReason uint8

const (
	fetchOld fetchReason = iota
	fetchUnknownKey
)

// newURLKeys prepares the fetching and fetches nothing yet.
func newURLKeys(u *url.URL, log hclog.Logger, now func() time.Time) *urlKeys {
	k := &urlKeys{url: u, now: now, log: log}
	k.ctx, k.stop = context.WithCancel(context.Background())
	k.client = &http.Client{
		Timeout: fetchTimeout,
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DisableKeepAlives:      true, // minutes pass between two fetches
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if req.URL.Scheme != u.Scheme || req.URL.Host != u.Host {
				return errors.New("it redirects to another host or scheme; configure the address that holds the keys")
			}
			if len(via) > 3 {
				return errors.New("it redirects more than three times")
			}
			return nil
		},
	}
	return k
}

// parseKeysURL reads an address that keys may be fetched from.
func parseKeysURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Host == "", u.Opaque != "":
		return nil, errors.New("it is no URL; write one such as https://ci.example/keys")
	case u.User != nil:
		return nil, errors.New("it holds a user or a password; keys are public, leave them out")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return u, nil
	}
	return nil, errors.New("it is not https, so anybody between could put in keys of their own; http is taken for this host only")
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// start fetches the keys without waiting for them.
func (k *urlKeys) start() { k.refresh(fetchOld) }

// close ends a fetch under way and waits for its end.
func (k *urlKeys) close() {
	k.stop()
	_, _, _ = k.group.Do("", func() (any, error) { return nil, nil }) // joins the fetch
}

func (k *urlKeys) lookup(ctx context.Context, kid string) (*rsa.PublicKey, *keySet, *pipeline.BlockError) {
	set, err := k.current(ctx)
	if err != nil {
		return nil, nil, err
	}
	if set.keys[kid] == nil {
		k.await(ctx, fetchUnknownKey)
		if set, err = k.current(ctx); err != nil {
			return nil, nil, err
		}
	}
	if key := set.keys[kid]; key != nil {
		return key, set, nil
	}
	return nil, nil, errUnknownKey
}

func (k *urlKeys) current(ctx context.Context) (*keySet, *pipeline.BlockError) {
	set, old, unusable := k.state()
	if unusable {
		k.await(ctx, fetchOld)
		set, _, unusable = k.state()
	} else if old {
		k.refresh(fetchOld) // the next request has the new ones
	}
	switch {
	case !unusable:
		return set, nil
	case set == nil:
		return nil, errNoKeys
	}
	return nil, errKeysTooOld
}

// state gives the set, whether it is time to refresh it, and whether it cannot
// be used as it is.
func (k *urlKeys) state() (set *keySet, old, unusable bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	age := k.now().Sub(k.loaded)
	unusable = k.set == nil || age >= usableFor
	if unusable && k.set != nil && !k.tooOld {
		k.tooOld = true
		k.log.Error("the keys are too old to be trusted; every token is refused until they can be fetched", "url", k.name(), "loaded", k.loaded)
	}
	return k.set, age >= freshFor && k.mayTry(fetchOld), unusable
}

// await fetches the keys, if it is time to, and waits for the end of that or of
// a fetch under way.
func (k *urlKeys) await(ctx context.Context, why fetchReason) {
	select {
	case <-k.refresh(why):
	case <-ctx.Done():
	}
}

func (k *urlKeys) refresh(why fetchReason) <-chan singleflight.Result {
	return k.group.DoChan("", func() (any, error) {
		k.fetchIfDue(why)
		return nil, nil
	})
}

// mayTry reports whether it is time for a fetch. k.mu is held.
func (k *urlKeys) mayTry(why fetchReason) bool {
	wait := fetchWindow
	switch {
	case k.ctx.Err() != nil:
		return false
	case k.tried.IsZero(), k.set != nil && why == fetchUnknownKey && k.spare:
		return true
	case k.set == nil:
		wait = min(fetchBackoff<<min(max(k.failures-1, 0), 10), fetchWindow)
	}
	since := k.now().Sub(k.tried)
	return since >= wait || since < 0 // a clock that was set back must not stop it
}

// fetchIfDue runs one at a time.
func (k *urlKeys) fetchIfDue(why fetchReason) {
	k.mu.Lock()
	if !k.mayTry(why) {
		k.mu.Unlock()
		return
	}
	k.tried = k.now()
	if why == fetchUnknownKey {
		k.spare = false
	}
	k.mu.Unlock()

	set, err := k.fetch()

	k.mu.Lock()
	defer k.mu.Unlock()
	if errors.Is(err, errNoUsableKey) && k.set != nil {
		if kept := k.set.without(set); kept != nil {
			k.set = kept
			k.log.Warn("the issuer withdrew its keys", "url", k.name(), "keys", len(kept.keys))
		}
	}
	if err != nil {
		k.failed(err)
		return
	}
	changed := !set.sameKeys(k.set)
	if changed {
		k.set = set
		k.log.Info("new keys were fetched", "url", k.name(), "keys", len(set.keys), "skipped", set.skipped)
	} else if k.failures > 0 {
		k.log.Info("the keys can be fetched again", "url", k.name())
	}
	// Whoever makes up key ids gets one fetch at once, not one for each: the next
	// at once is granted by a fetch that they did not cause, or by new keys.
	k.spare = k.spare || changed || why != fetchUnknownKey
	k.loaded, k.failures, k.failing, k.tooOld = k.now(), 0, "", false
}

// failed notes a try that failed. k.mu is held.
func (k *urlKeys) failed(err error) {
	if k.ctx.Err() != nil {
		return // it was us who ended it
	}
	k.failures++
	if k.failing == err.Error() {
		return // the log has it
	}
	k.failing = err.Error()
	if k.set == nil {
		k.log.Warn("the keys cannot be fetched; every token of the issuer is refused until they can", "url", k.name(), "error", err)
		return
	}
	k.log.Warn("the keys cannot be refreshed; the last good ones serve for now", "url", k.name(), "until", k.loaded.Add(usableFor), "error", err)
}

// fetch gets the set. The error tells nothing of what was sent.
func (k *urlKeys) fetch() (set *keySet, err error) {
	defer func() {
		if recover() != nil { // nothing above this goroutine would stop it from ending the process
			set, err = nil, errors.New("reading the key set failed unexpectedly; please report it")
		}
	}()
	req, err := http.NewRequestWithContext(k.ctx, http.MethodGet, k.url.String(), nil)
	if err != nil {
		return nil, errors.New("the URL cannot be used")
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := k.client.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) { // says the whole URL, which has its own field in the log
			err = wrapped.Err
		}
		return nil, err
	}
	defer resp.Body.Close() // only read
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer has status %d", resp.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKS+1))
	if err != nil {
		return nil, fmt.Errorf("the answer could not be read: %w", err)
	}
	return parseJWKS(text)
}

// name is the URL for the log, without what may be a secret in its query.
func (k *urlKeys) name() string {
	return (&url.URL{Scheme: k.url.Scheme, Host: k.url.Host, Path: k.url.Path}).String()
}
