// Package conn carries exchanges between a Unix stream socket and a chain, and
// holds the client of that socket.
//
// One connection carries one request and one response. The request is one JSON
// object; it has ended when its last brace has arrived, so a client need send
// neither a newline nor the end of its stream. The response is one JSON object
// and a newline.
//
// # What the package promises
//
//  1. Whoever connects is answered: a request that is malformed, too large or
//     too late goes through the chain as a block, and a connection over a limit
//     or of a user who may not ask gets a block that is not recorded. Only a peer
//     that is gone without having sent a byte is not answered.
//  2. A client can read its answer even while it is still sending: what it
//     sends is drained, within bounds of bytes and time.
//  3. What one connection, one user and all of them together can hold is
//     bounded: connections, bytes, time.
//  4. Nothing that a client does, and no shortage of descriptors, ends Serve.
//  5. A socket belongs to one process at a time, for as long as it holds the
//     lock beside it. What is not a socket is never removed.
//  6. When Serve has returned nil, every connection that it accepted is
//     answered and none of its goroutines is left.
//
// What a system cannot do (name the user behind a connection, say) is written to
// the log when Serve begins.
package conn
