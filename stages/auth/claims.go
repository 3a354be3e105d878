package auth

import (
	"strings"
	"unicode"

	enforcementv1 "github.com/Huzefaaa2/cavra/go/cavra-runtime/enforcement/v1"
)

// appendSignedText appends the text that stands for an identity under HMAC. It
// stands for one identity only where no member holds a line break, which
// faultOf makes sure of.
func appendSignedText(b []byte, id *enforcementv1.RunnerIdentity) []byte {
	b = append(append(b, "cavra.runner-auth.v1\nprovider="...), id.Provider...)
	b = append(append(b, "\nrepository="...), id.Repository...)
	b = append(append(b, "\nworkflow="...), id.Workflow...)
	b = append(append(b, "\nrun_id="...), id.RunID...)
	b = append(append(b, "\nrun_attempt="...), id.RunAttempt...)
	b = append(append(b, "\nref="...), id.Ref...)
	b = append(append(b, "\nsha="...), id.SHA...)
	b = append(append(b, "\nactor="...), id.Actor...)
	b = append(append(b, "\njob="...), id.Job...)
	return append(append(b, "\nrunner_name="...), id.RunnerName...)
}

// A fault is what is wrong with the claims of a runner, whoever signed them.
type fault struct{ member, problem string }

// faultOf gives the fault of an identity and of the key id beside it; its zero
// value where there is none.
func faultOf(id *enforcementv1.RunnerIdentity, keyID string) fault {
	for _, m := range [...]struct{ name, value string }{
		{"identity.provider", id.Provider},
		{"identity.repository", id.Repository},
		{"identity.workflow", id.Workflow},
		{"identity.run_id", id.RunID},
		{"identity.run_attempt", id.RunAttempt},
		{"identity.ref", id.Ref},
		{"identity.sha", id.SHA},
		{"identity.actor", id.Actor},
		{"identity.job", id.Job},
		{"identity.runner_name", id.RunnerName},
		{"key_id", keyID},
	} {
		if hasControl(m.value) {
			return fault{m.name, "holds a control character: leave it out"}
		}
	}
	switch {
	case id.Provider == "":
		return fault{"identity.provider", "is missing: name it"}
	case id.Repository == "":
		return fault{"identity.repository", "is missing: name it"}
	}
	return fault{}
}

// hasControl reports whether s holds a control character, Unicode's category Cc.
func hasControl(s string) bool {
	for i := range len(s) {
		if b := s[i]; b < ' ' || b > '~' {
			return strings.ContainsFunc(s[i:], unicode.IsControl)
		}
	}
	return false
}
