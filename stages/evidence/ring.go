package evidence

// A Key is a signing key with its id.
type Key struct {
	ID  string
	Key []byte
}

// A ring checks signatures with several keys. It belongs to one goroutine.
type ring struct {
	keyID   string // where set, the only id that may stand in a signature
	signers []namedSigner
}

type namedSigner struct {
	id string
	*signer
}

func newRing(o VerifyOptions) *ring {
	r := &ring{}
	if len(o.Key) > 0 {
		r.signers = append(r.signers, namedSigner{o.KeyID, newSigner(o.Key)})
	}
	for _, k := range o.OldKeys {
		r.signers = append(r.signers, namedSigner{k.ID, newSigner(k.Key)})
	}
	switch {
	case len(o.Key) == 0 && o.KeyID != "":
		r.keyID = o.KeyID
	case len(r.signers) == 1:
		r.keyID = r.signers[0].id
	}
	return r
}

// requires reports whether a record without a signature is at fault.
func (r *ring) requires() bool { return len(r.signers) > 0 || r.keyID != "" }

// find gives the key that a signature names: nil where no key has that id. A
// single key is tried whatever the signature names.
func (r *ring) find(id string) *signer {
	if len(r.signers) == 1 {
		return r.signers[0].signer
	}
	for _, s := range r.signers {
		if s.id == id {
			return s.signer
		}
	}
	return nil
}
