package enforcementv1

import "github.com/go-json-experiment/json/jsontext"

// DecodeRequest reads a request from raw, which must hold exactly one JSON
// object; white space may stand around it. It copies what it keeps. An error is
// a [*DecodeError].
func DecodeRequest(raw []byte) (*EvaluateRequest, error) {
	m := new(EvaluateRequest)
	if err := decodeObject(raw, m); err != nil {
		return nil, err
	}
	return m, nil
}

// DecodeResponse reads a response as [DecodeRequest] reads a request.
func DecodeResponse(raw []byte) (*DecisionResponse, error) {
	m := new(DecisionResponse)
	if err := decodeObject(raw, m); err != nil {
		return nil, err
	}
	return m, nil
}

// decodable is a message: decode fills it, empty as it is, from the next object
// of r.
type decodable interface {
	decode(r *reader) *DecodeError
}

// decodeObject fills m from the one object that raw holds.
func decodeObject(raw []byte, m decodable) error {
	r := newReader(raw)
	defer r.free()
	if err := r.document(m); err != nil {
		return err
	}
	return nil
}

// decodeObjectFrom fills m from the next value of dec. The bytes of the value
// are read again by a reader of our own, since dec may have been told to
// tolerate what we refuse.
func decodeObjectFrom(dec *jsontext.Decoder, m decodable) error {
	raw, err := dec.ReadValue()
	if err != nil {
		return syntaxFault(err, dec.InputOffset(), dec.UnreadBuffer())
	}
	start := dec.InputOffset() - int64(len(raw))
	r := newReader(raw)
	defer r.free()
	if err := r.document(m); err != nil {
		err.Offset += start
		return err
	}
	return nil
}
