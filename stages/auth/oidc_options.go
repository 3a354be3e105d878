package auth

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/document"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/pipeline"
)

// An OIDCIssuer is a CI provider whose tokens are taken.
type OIDCIssuer struct {
	// The issuer as the claim iss has it, byte for byte, such as
	// https://token.actions.githubusercontent.com.
	Issuer string `json:"issuer"`
	// The audience that a token must be made for. Choose one of your own where
	// the provider lets you.
	Audience string `json:"audience"`
	// The file that holds the issuer's keys, a JWKS. It is read again when it
	// changes.
	JWKS string `json:"jwks,omitempty"`
	// The URL that the issuer's keys are fetched from; https, or http on this
	// host.
	JWKSURL string `json:"jwks_url,omitempty"`
	// Which claim proves which member of an identity: github, gitlab, azure or
	// generic. Default: by the issuer, gitlab where nothing else fits.
	Profile string `json:"profile,omitempty"`
	// The provider that identities must name under the generic profile. Default:
	// generic.
	Provider string `json:"provider,omitempty"`
	// The claim that proves a member, by member, for the generic profile.
	Claims map[string]string `json:"claims,omitempty"`
	// Members that a runner may claim though the token does not prove them. They
	// stand in the record as they were sent, nobody vouches for them, and they are
	// no part of the identity that the stages behind auth see.
	Unproven []string `json:"unproven,omitempty"`
	// Who gets in: the values that a member or a claim must have one of. * stands
	// for any run of characters. All names must fit.
	Require map[string][]string `json:"require,omitempty"`
	// How long after it was issued a token is taken. Default: 1h.
	MaxAge time.Duration `json:"max_age,omitempty"`
	// How far the issuer's clock may be from ours, at most and by default 60s.
	Leeway *time.Duration `json:"leeway,omitempty"`
	// Take each token (by its jti) once only, as long as this process lives.
	// Always so under the azure profile.
	RememberJTI bool `json:"remember_jti,omitempty"`
}

const (
	defaultTokenAge = time.Hour
	maxTokenAge     = 24 * time.Hour
	maxLeeway       = time.Minute
	maxUsed         = 1 << 16 // tokens of one issuer that are remembered as used
	maxOptionName   = 512     // bytes of an issuer or an audience
)

// issuers are all the issuers that the options name, those of the command line
// first.
func (o Options) issuers() (all []OIDCIssuer, err error) {
	if flat := o.oidcFlat(); flat != nil {
		i := OIDCIssuer{Issuer: o.OIDCIssuer, Audience: o.OIDCAudience, JWKS: o.OIDCJWKS, JWKSURL: o.OIDCJWKSURL}
		for _, r := range o.OIDCRequire {
			name, pattern, ok := strings.Cut(r, "=")
			if !ok {
				return nil, errors.New("oidc_require holds an entry that is not name=value; write it as repository=octo/*")
			}
			if i.Require == nil {
				i.Require = map[string][]string{}
			}
			i.Require[name] = append(i.Require[name], pattern)
		}
		all = append(all, i)
	}
	return append(all, o.OIDC...), nil
}

// newOIDCVerifier makes a verifier of the options. The error holds every fault.
func newOIDCVerifier(o Options, env pipeline.Env, now func() time.Time) (*oidcVerifier, error) {
	all, err := o.issuers()
	if err != nil {
		return nil, err
	}
	flat := o.oidcFlat() != nil
	if len(all) == 0 {
		return nil, errors.New("oidc is empty; list an issuer, or leave it out")
	}
	v := &oidcVerifier{issuers: map[string]*oidcIssuer{}, names: newClaimNames(), now: now}
	var faults *multierror.Error
	for n, option := range all {
		at := "oidc_"
		if !flat {
			at = fmt.Sprintf("oidc[%d].", n)
		} else if n > 0 {
			at = fmt.Sprintf("oidc[%d].", n-1)
		}
		fault := func(name, problem string) {
			faults = multierror.Append(faults, fmt.Errorf("%s%s %s", at, name, problem))
		}
		issuer := v.newIssuer(option, env, fault)
		if v.issuers[option.Issuer] != nil {
			fault("issuer", "is that of an earlier entry; make one entry of both")
			issuer.keys.close()
			continue
		}
		v.issuers[option.Issuer] = issuer
	}
	if err := faults.ErrorOrNil(); err != nil {
		v.close()
		return nil, err
	}
	for _, option := range all {
		if len(option.Require) == 0 {
			env.Log.Warn("nothing is required of the tokens of this issuer, so EVERY repository that it serves gets in; set require, such as repository=octo/*", "issuer", option.Issuer)
		}
		if len(option.Unproven) > 0 {
			env.Log.Warn("runners may claim what their token does not prove", "issuer", option.Issuer, "members", strings.Join(option.Unproven, ", "))
		}
		if keys, ok := v.issuers[option.Issuer].keys.(*urlKeys); ok && !env.DryRun {
			keys.start()
		}
	}
	return v, nil
}

// newIssuer makes an issuer of its options and reports every fault of them. It
// starts nothing.
func (v *oidcVerifier) newIssuer(o OIDCIssuer, env pipeline.Env, fault func(name, problem string)) *oidcIssuer {
	i := &oidcIssuer{audience: o.Audience, proof: "oidc/" + o.Issuer, maxAge: o.MaxAge, leeway: maxLeeway, keys: noKeys{}}
	if problem := badName(o.Issuer); problem != "" {
		fault("issuer", problem)
	}
	if problem := badName(o.Audience); problem != "" {
		fault("audience", problem)
	}
	log := env.Log.With("issuer", o.Issuer)
	switch {
	case o.JWKS != "" && o.JWKSURL != "":
		fault("jwks", "and jwks_url are both set; leave one of them out")
	case o.JWKS != "":
		keys, err := newFileKeys(o.JWKS, log, v.now)
		if err != nil {
			fault("jwks", fmt.Sprintf("cannot be used: %v", err))
			break
		}
		i.keys = keys
	case o.JWKSURL != "":
		u, err := parseKeysURL(o.JWKSURL)
		if err != nil {
			fault("jwks_url", fmt.Sprintf("cannot be used: %v", err))
			break
		}
		keys := newURLKeys(u, log, v.now)
		keys.succeed(before(env).issuer(o.Issuer))
		i.keys = keys
	default:
		fault("jwks", "and jwks_url are both missing; name the file or the URL of the issuer's keys")
	}
	switch {
	case o.MaxAge == 0:
		i.maxAge = defaultTokenAge
	case o.MaxAge < time.Second, o.MaxAge > maxTokenAge:
		fault("max_age", fmt.Sprintf("is %v; set it from 1s to %v, or leave it out for %v", o.MaxAge, maxTokenAge, defaultTokenAge))
	}
	if o.Leeway != nil {
		i.leeway = *o.Leeway
		if i.leeway < 0 || i.leeway > maxLeeway {
			fault("leeway", fmt.Sprintf("is %v; set it from 0s to %v", i.leeway, maxLeeway))
		}
	}
	name := o.Profile
	if name == "" {
		name = profileOf(o.Issuer)
	}
	p, ok := o.profile(name, fault)
	if ok {
		i.checker = v.newChecker(o, p, fault)
	}
	if o.RememberJTI || name == "azure" { // the audience of Azure's tokens is the same for everybody
		i.used = before(env).issuer(o.Issuer).memory(v.now)
	}
	return i
}

// profile gives the profile of that name.
func (o OIDCIssuer) profile(name string, fault func(name, problem string)) (profile, bool) {
	if name != genericProfile {
		if o.Claims != nil {
			fault("claims", "is set, and only the profile generic uses it; set profile to generic, or leave it out")
		}
		if o.Provider != "" {
			fault("provider", "is set, and only the profile generic uses it; set profile to generic, or leave it out")
		}
		p, ok := profiles[name]
		if !ok {
			fault("profile", "is none of github, gitlab, azure and generic")
		}
		return p, ok
	}
	p := profile{provider: o.Provider, proofs: map[string][]proof{}}
	if p.provider == "" {
		p.provider = genericProfile
	}
	for _, member := range slices.Sorted(maps.Keys(o.Claims)) {
		switch claim := o.Claims[member]; {
		case member == identityMembers[memberProvider]:
			fault("claims", "holds provider, which follows from the issuer; set the option provider")
		case !slices.Contains(identityMembers[:], member):
			fault("claims", "holds a name that is no member of an identity; there are "+strings.Join(identityMembers[1:], ", "))
		case claim == "" || claim == "sub":
			fault("claims", "proves "+member+" by a claim that cannot: an empty one, or sub, whose form changes")
		default:
			p.proofs[member] = []proof{{claim: claim}}
		}
	}
	if p.proofs[identityMembers[memberRepository]] == nil {
		fault("claims", "names no claim that proves the repository; write repository: and the claim")
	}
	return p, true
}

// newChecker compiles a profile and what is required beside it.
func (v *oidcVerifier) newChecker(o OIDCIssuer, p profile, fault func(name, problem string)) checker {
	c := checker{provider: p.provider}
	place := func(proofs []proof) (placed []placedProof) {
		for _, proof := range proofs {
			placed = append(placed, placedProof{proof, v.names.add(proof.claim)})
		}
		return placed
	}
	for i, member := range identityMembers {
		c.proofs[i] = place(p.proofs[member])
	}
	for _, member := range o.Unproven {
		i := slices.Index(identityMembers[:], member)
		if i <= memberRepository {
			fault("unproven", "holds what is no member of an identity, or one that must be proven; there are "+strings.Join(identityMembers[2:], ", "))
			continue
		}
		c.unproven[i] = true
	}
	for _, name := range slices.Sorted(maps.Keys(o.Require)) {
		patterns, i := o.Require[name], slices.Index(identityMembers[:], name)
		proofs := []proof{{claim: name}}
		if i >= 0 {
			proofs = p.proofs[name]
		}
		switch near := document.Nearest(name, identityMembers[:]); {
		case i < 0 && near != "" && !strings.HasPrefix(name, near):
			fault("require", "holds a name that is no member of an identity; did you mean "+near+"?")
			continue
		case name == "" || name == "sub":
			fault("require", "holds an empty name, or sub, whose form changes; name another claim, such as repository_id")
			continue
		case i == memberProvider:
			fault("require", "holds provider, which follows from the issuer; leave it out")
			continue
		case proofs == nil:
			fault("require", "holds "+name+", which no token of this provider proves; leave it out")
			continue
		case len(patterns) == 0 || slices.Contains(patterns, ""):
			fault("require", "lists no value, or an empty one, so nobody would get in; write a value or a pattern with *")
			continue
		}
		r := requirement{name: name}
		for _, text := range patterns {
			counts, clear := proofsOf(text, proofs)
			if !clear {
				fault("require", "holds a pattern for "+name+" that several claims could fit, one of which whoever runs the job may choose; name the claim instead: "+claimsOf(proofs))
				continue
			}
			r.patterns = append(r.patterns, placedPattern{text, place(counts)})
		}
		c.require = append(c.require, r)
	}
	return c
}

// proofsOf are the proofs that count for a pattern. Where the form of a value
// says which one counts, the pattern must say so before its first star: a star
// would take both forms, and a branch can be called refs/heads/main.
func proofsOf(pattern string, proofs []proof) (counts []proof, clear bool) {
	literal, _, wild := strings.Cut(pattern, "*")
	if !wild {
		return proofs, true
	}
	for _, p := range proofs[:len(proofs)-1] {
		if p.form == nil {
			continue
		}
		if p.form(literal) {
			return []proof{p}, true
		}
		return nil, false
	}
	return proofs, true
}

func claimsOf(proofs []proof) string {
	var names []string
	for _, p := range proofs {
		names = append(names, p.claim)
	}
	return strings.Join(names, " or ")
}

// badName says why a text cannot be an issuer or an audience, or "".
func badName(s string) string {
	switch {
	case s == "":
		return "is missing; half a configuration lets nobody in"
	case len(s) > maxOptionName:
		return fmt.Sprintf("has more than %d bytes", maxOptionName)
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "holds a space, a control character or a letter beyond ASCII"
	}
	return ""
}
