package citoken

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	maxTries  = 3
	maxAnswer = 64 << 10 // bytes of a token service's answer
)

// service is how token services are asked. Tests shorten its times.
type service struct {
	total  time.Duration                              // for all tries together
	try    time.Duration                              // for one of them
	wait   func(context.Context, time.Duration) error // between two
	client *http.Client
}

func newService() *service {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true // a job asks once
	transport.Proxy = func(r *http.Request) (*url.URL, error) {
		if r.URL.Scheme == "http" { // this host: what goes in clear text goes nowhere else
			return nil, nil
		}
		return http.ProxyFromEnvironment(r)
	}
	return &service{total: 5 * time.Second, try: 2 * time.Second, wait: wait, client: &http.Client{
		Transport: transport,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if first := via[0].URL; r.URL.Host != first.Host || r.URL.Scheme != first.Scheme || len(via) > 3 {
				return errRedirected
			}
			return nil
		},
	}}
}

var errRedirected = final("it redirects to another place, which is not followed")

// A final error is one that another try would not mend.
type final string

func (e final) Error() string { return string(e) }

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// ask sends a request until it is answered with a token: the member of the JSON
// object that comes back. Nothing of the answer gets into an error, and nothing
// of the URL, whose query may hold a credential.
func (s *service) ask(ctx context.Context, method string, at *url.URL, authorization, member string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.total)
	defer cancel()
	for tries := 1; ; tries++ {
		token, err := s.once(ctx, method, at, authorization, member)
		var f final
		switch {
		case err == nil:
			return token, nil
		case errors.As(err, &f):
			return "", err
		case tries == maxTries:
			return "", fmt.Errorf("%w (the last of %d tries)", err, tries)
		case s.wait(ctx, time.Duration(tries*tries)*100*time.Millisecond) != nil:
			return "", fmt.Errorf("%w (after %d tries there was no time for another)", err, tries)
		}
	}
}

func (s *service) once(ctx context.Context, method string, at *url.URL, authorization, member string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.try)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, at.String(), http.NoBody)
	if err != nil {
		return "", final("its address cannot be used")
	}
	req.Header.Set("Authorization", authorization)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "cavra-runtime")
	resp, err := s.client.Do(req)
	if err != nil {
		return "", failure(err)
	}
	defer resp.Body.Close() // only read
	switch code := resp.StatusCode; {
	case code == http.StatusTooManyRequests, code >= 500:
		return "", fmt.Errorf("it answers with status %d", code)
	case code != http.StatusOK:
		return "", final(fmt.Sprintf("it answers with status %d", code))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return "", failure(err)
	case len(body) > maxAnswer:
		return "", final(fmt.Sprintf("it answers with more than %d bytes", maxAnswer))
	}
	var answer map[string]any
	if json.Unmarshal(body, &answer) != nil {
		return "", errors.New("it does not answer with a JSON object; is a proxy between?")
	}
	token, ok := answer[member].(string)
	if !ok {
		return "", fmt.Errorf("its answer holds no member %s", member)
	}
	return wellFormed(token, "its answer")
}

// failure words an error of the HTTP client without the URL that it names.
func failure(err error) error {
	var timeout net.Error
	var asked *url.Error
	switch {
	case errors.Is(err, errRedirected):
		return errRedirected
	case errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("it does not answer in time")
	case errors.As(err, &asked):
		// Other errors of a transport can quote a header's value or an answer.
		var (
			op          *net.OpError
			certificate *tls.CertificateVerificationError
		)
		switch {
		case errors.As(asked.Err, &certificate):
			return final("its certificate cannot be verified: " + certificate.Err.Error())
		case errors.As(asked.Err, &op):
			return fmt.Errorf("it cannot be reached: %w", op)
		}
	}
	return errors.New("it cannot be reached")
}

// endpoint is a token service's URL with a parameter added to its query.
func endpoint(text, name, value string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Host == "", u.User != nil:
		return nil, errors.New("holds no URL that can be used")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return nil, errors.New("holds a URL that is not https")
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += name + "=" + url.QueryEscape(value)
	return u, nil
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
