package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strings"
)

// The provenance is an in-toto statement (v1) that holds a SLSA provenance (v1), in
// a DSSE envelope (v1.0) that is signed with the release's key. Their formats:
// https://in-toto.io/Statement/v1, https://slsa.dev/provenance/v1 and
// https://github.com/secure-systems-lab/dsse.
const (
	// provenanceFile is the envelope, and statementFile the bare statement that an
	// unsigned package holds in its place.
	provenanceFile = "provenance.dsse.json"
	statementFile  = "provenance.json"

	payloadType = "application/vnd.in-toto+json"
	repository  = "https://github.com/Huzefaaa2/cavra"
	builderID   = repository + "/go/cavra-runtime/tools/release@v1"
	buildType   = builderID + "#go-build"
)

type digest map[string]string

type resource struct {
	Name   string `json:"name,omitempty"`
	URI    string `json:"uri,omitempty"`
	Digest digest `json:"digest,omitempty"`
}

type statement struct {
	Type          string     `json:"_type"`
	Subject       []resource `json:"subject"`
	PredicateType string     `json:"predicateType"`
	Predicate     slsa       `json:"predicate"`
}

type slsa struct {
	BuildDefinition struct {
		BuildType            string         `json:"buildType"`
		ExternalParameters   map[string]any `json:"externalParameters"`
		InternalParameters   map[string]any `json:"internalParameters"`
		ResolvedDependencies []resource     `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
	} `json:"runDetails"`
}

// provenance says of the files, by their digests, what they were made from and
// how. It holds no time of the run and nothing of the machine, so that who builds
// the same release again gets the same bytes.
func provenance(s source, b build, goVersion string, modules []*debug.Module, wanted []target, made []file) ([]byte, error) {
	var names []string
	for _, t := range wanted {
		names = append(names, t.String())
	}
	st := statement{Type: "https://in-toto.io/Statement/v1", PredicateType: "https://slsa.dev/provenance/v1"}
	for _, f := range byName(made) {
		st.Subject = append(st.Subject, resource{Name: f.name, Digest: digest{"sha256": sha256Hex(f.text)}})
	}
	d := &st.Predicate.BuildDefinition
	d.BuildType = buildType
	d.ExternalParameters = map[string]any{"version": b.version, "targets": names}
	d.InternalParameters = map[string]any{
		"go": goVersion, "cgo": false, "flags": []string{"-trimpath", "-buildvcs=false", "-ldflags=" + b.ldflags()},
		"sourceDateEpoch": s.time.Unix(), "modifiedSource": s.dirty,
	}
	d.ResolvedDependencies = []resource{
		{URI: "git+" + repository, Digest: digest{"gitCommit": s.commit}},
		{URI: purl("std", strings.TrimPrefix(goVersion, "go"))},
	}
	for _, m := range modules {
		sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:"))
		if err != nil {
			return nil, fmt.Errorf("the sum of %s: %w", m.Path, err)
		}
		d.ResolvedDependencies = append(d.ResolvedDependencies, resource{URI: purl(m.Path, m.Version), Digest: digest{"dirHash": hex.EncodeToString(sum)}})
	}
	st.Predicate.RunDetails.Builder.ID = builderID
	return json.MarshalIndent(st, "", "  ")
}

// An envelope is what is signed, and the signatures.
type envelope struct {
	PayloadType string              `json:"payloadType"`
	Payload     []byte              `json:"payload"` // base64 in JSON
	Signatures  []envelopeSignature `json:"signatures"`
}

type envelopeSignature struct {
	KeyID string `json:"keyid"`
	Sig   []byte `json:"sig"`
}

// seal signs a payload.
func seal(payload []byte, key ed25519.PrivateKey, keyID string) ([]byte, error) {
	sig := ed25519.Sign(key, preAuthentication(payloadType, payload))
	return json.MarshalIndent(envelope{payloadType, payload, []envelopeSignature{{keyID, sig}}}, "", "  ")
}

// preAuthentication is the text that a DSSE signature is over: the payload with its
// type, each with its length, so that none can be taken for a part of the other.
func preAuthentication(payloadType string, payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}
