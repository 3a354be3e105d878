package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/auth"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/stages/auth/citoken"
)

// claimsFromEnv is the value of --runner-auth-claims that reads the identity from
// the CI provider's variables.
const claimsFromEnv = "auto"

// runnerFault finds what is wrong with the flags of runner authentication
// together.
func (c *cli) runnerFault() string {
	proofs := 0
	for _, given := range []bool{c.RunnerAuthOIDCToken != "", c.RunnerAuthOIDCTokenFile != "", c.RunnerOIDCAuto} {
		if given {
			proofs++
		}
	}
	switch {
	case c.RunnerAuthVersion != "v1" && c.RunnerAuthVersion != "v2":
		return "--runner-auth-version must be v1 or v2"
	case c.asks() && proofs > 1:
		return "there is more than one way to a token; leave one of --runner-auth-oidc-token, --runner-auth-oidc-token-file and --runner-oidc-auto, or of their variables"
	case c.asks() && !c.hasToken() && c.RunnerAuthClaims != "" && c.RunnerAuthKey == "":
		return "--runner-auth-claims says who the runner is, and nothing proves it; give a token with --runner-oidc-auto, or set CAVRA_RUNNER_AUTH_HMAC_KEY"
	}
	return ""
}

// hasToken reports whether the runner proves who it is by a token of its CI
// provider. A token goes before an HMAC key that is set too.
func (c *cli) hasToken() bool {
	return c.RunnerAuthOIDCToken != "" || c.RunnerAuthOIDCTokenFile != "" || c.RunnerOIDCAuto
}

// signs reports whether requests get a proof of who sends them.
func (c *cli) signs() bool { return c.hasToken() || c.RunnerAuthClaims != "" }

// sign puts the runner's identity and its proof into a request. One that cannot
// be decoded is left as it is, for the daemon to refuse.
func sign(ctx context.Context, c *cli, raw []byte, log hclog.Logger) ([]byte, error) {
	req, err := enforcementv1.DecodeRequest(raw)
	if err != nil {
		var malformed *enforcementv1.DecodeError
		if errors.As(err, &malformed) {
			return raw, nil
		}
		return nil, err
	}
	identity, err := runnerIdentity(c)
	if err != nil {
		return nil, err
	}
	switch key := []byte(c.RunnerAuthKey); {
	case c.hasToken():
		req.RunnerAuth, err = tokenProof(ctx, c, identity, log)
	case c.RunnerAuthVersion == "v1":
		req.RunnerAuth, err = auth.SignHMAC(key, c.RunnerAuthKeyID, identity)
	default:
		req.RunnerAuth, err = auth.SignHMACv2(key, c.RunnerAuthKeyID, identity, req, time.Now())
	}
	if err != nil {
		return nil, err
	}
	return req.AppendJSON(nil), nil
}

// runnerIdentity is who the runner says it is: what the file of claims holds, or
// what the environment says.
func runnerIdentity(c *cli) (id enforcementv1.RunnerIdentity, err error) {
	if c.RunnerAuthClaims == "" || c.RunnerAuthClaims == claimsFromEnv {
		return citoken.Detect(os.Getenv).Identity(os.Getenv, c.hasToken()), nil
	}
	text, err := document.ReadFile(c.RunnerAuthClaims)
	if err != nil {
		if at := (*fs.PathError)(nil); errors.As(err, &at) {
			err = at.Err // somebody may have given a key in the place of the file
		}
		return id, fmt.Errorf("the runner's claims cannot be read: %w; name the file with --runner-auth-claims, or write --runner-auth-claims auto", err)
	}
	err = document.Read(c.RunnerAuthClaims, text, &id)
	return id, err
}

// tokenProof is the authentication of an identity by a token.
func tokenProof(ctx context.Context, c *cli, id enforcementv1.RunnerIdentity, log hclog.Logger) (*enforcementv1.RunnerAuthentication, error) {
	token, err := c.tokenSource(log).Token(ctx)
	if err != nil {
		return nil, err
	}
	return &enforcementv1.RunnerAuthentication{
		Identity: id, Algorithm: enforcementv1.AlgorithmOIDC, KeyID: citoken.KeyID(token), Signature: token,
	}, nil
}

// tokenSource is where the token comes from.
func (c *cli) tokenSource(log hclog.Logger) citoken.Source {
	switch {
	case c.RunnerAuthOIDCToken != "":
		return citoken.Value(c.RunnerAuthOIDCToken, "--runner-auth-oidc-token (or CAVRA_RUNNER_AUTH_OIDC_TOKEN)")
	case c.RunnerAuthOIDCTokenFile != "":
		return citoken.File(c.RunnerAuthOIDCTokenFile)
	}
	provider := citoken.Detect(os.Getenv)
	log.Info("the CI provider is asked for a token", "provider", provider, "audience", c.RunnerOIDCAudience)
	return provider.Source(os.Getenv, c.RunnerOIDCAudience)
}

// clientLog is the log of a mode that asks: silent but for errors unless a level
// is asked for.
func (c *cli) clientLog(stderr io.Writer) hclog.Logger {
	level := logLevel(c.LogLevel)
	if level == "" {
		level = "error"
	}
	return newLogger(logConfig{Level: level, JSON: c.LogJSON}, stderr)
}

// printRunnerClaims prints the identity that a request would claim, in the form
// of the file of --runner-auth-claims.
func printRunnerClaims(c *cli, stdout, stderr io.Writer) int {
	id, err := runnerIdentity(c)
	if err != nil {
		return fail(stderr, "there are no claims", err)
	}
	text, err := json.Marshal(id, jsontext.WithIndent("  "))
	if err == nil {
		_, err = stdout.Write(append(text, '\n'))
	}
	if err != nil {
		return fail(stderr, "the claims cannot be printed", err)
	}
	return exitOK
}
