package conn

import "github.com/Huzefaaa2/cavra/go/cavra-runtime/metrics"

// Collect writes the server's Stats as metrics.
func (s *Server) Collect(w *metrics.Writer) {
	now := s.Stats()
	w.Gauge("cavra_connections_open", "Connections that are open now.", float64(now.Open))
	w.Counter("cavra_connections_accepted_total", "Connections accepted.", now.Accepted)
	const refused = "Connections and requests refused before the chain, by cause; none of them is recorded as evidence."
	w.Counter("cavra_connections_refused_total", refused, now.Overloaded, "cause", "overloaded")
	w.Counter("cavra_connections_refused_total", refused, now.Denied, "cause", "denied")
	const cutShort = "Requests that did not arrive whole, by cause; each is answered and recorded."
	w.Counter("cavra_requests_cut_short_total", cutShort, now.TooLarge, "cause", "too_large")
	w.Counter("cavra_requests_cut_short_total", cutShort, now.TimedOut, "cause", "timeout")
	const answers = "Answers, by whether they could be written whole."
	w.Counter("cavra_answers_total", answers, now.Answered, "written", "true")
	w.Counter("cavra_answers_total", answers, now.Unanswered, "written", "false")
	w.Counter("cavra_peers_gone_total", "Peers that were gone without having sent a byte.", now.Gone)
	w.Counter("cavra_accept_faults_total", "Failures to accept a connection, such as running out of descriptors.", now.AcceptFaults)
	w.Counter("cavra_connection_panics_total", "Bugs that ended a connection without an answer; each is in the log.", now.Panics)
}
