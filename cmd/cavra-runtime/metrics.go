package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/Huzefaaa2/cavra/go/cavra-runtime/conn"
	"github.com/Huzefaaa2/cavra/go/cavra-runtime/metrics"
)

// monitor answers GET /metrics and GET /healthz at an address until ctx ends.
// It tells figures and settings, no content of any request, to whoever can reach
// the address.
func monitor(ctx context.Context, address string, s *service, log hclog.Logger) (wait func(), err error) {
	listener, err := listenForMonitor(address)
	if err != nil {
		return nil, err
	}
	var open atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		var figures metrics.Writer
		s.Collect(&figures)
		w.Header().Set("Content-Type", metrics.ContentType)
		_, _ = figures.WriteTo(w) // who asked has hung up
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		health := s.health()
		w.Header().Set("Content-Type", "application/json")
		if !health.Healthy {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(health)
	})
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second,
		MaxHeaderBytes: 16 << 10,
		// Whoever can reach the address, be it another user, must not take the
		// descriptors by which requests are answered.
		ConnState: func(c net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				if open.Add(1) > maxMonitors {
					_ = c.Close() // its state will be closed, too
				}
			case http.StateClosed:
				open.Add(-1)
			}
		},
		ErrorLog: log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
	server.SetKeepAlivesEnabled(false) // who is answered gives the place to the next
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are no longer served", "error", err)
		}
	}()
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	log.Info("serving metrics", "address", listener.Addr().String())
	return func() {
		stop()
		_ = server.Close()
		<-served
	}, nil
}

// maxMonitors is how many connections the monitor has at once.
const maxMonitors = 16

// checkMonitorAddress refuses an address that other hosts could reach, unless
// public is set. It is a path of a Unix socket, as unix:DIR/FILE, or HOST:PORT.
func checkMonitorAddress(address string, public bool) error {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if path == "" {
			return errors.New("names no file after unix:; write one such as unix:.cavra/metrics.sock")
		}
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	switch {
	case err != nil:
		return errors.New("is no address; write HOST:PORT such as 127.0.0.1:9464, or unix:PATH")
	case host == "localhost", net.ParseIP(host).IsLoopback(), public:
		return nil
	case host == "":
		return errors.New("names no host, which means every address of this one; write 127.0.0.1 before the port, or allow it with --metrics-public")
	}
	return errors.New("can be reached by other hosts, and whoever asks is told; write 127.0.0.1, or allow it with --metrics-public")
}

func listenForMonitor(address string) (net.Listener, error) {
	path, ok := strings.CutPrefix(address, "unix:")
	if !ok {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, fmt.Errorf("metrics cannot be served: %w; choose another --metrics-listen", err)
		}
		return l, nil
	}
	l, err := conn.Listen(path)
	if err != nil {
		return nil, fmt.Errorf("metrics cannot be served: %w", err)
	}
	return l, nil
}

// collectProcess writes figures of the process under the names that every
// exporter gives them.
func collectProcess(w *metrics.Writer, began time.Time) {
	w.Gauge("process_start_time_seconds", "When the process began, in seconds since 1970.", float64(began.UnixMilli())/1000)
	w.Gauge("go_goroutines", "Goroutines that exist now.", float64(runtime.NumGoroutine()))
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	w.Gauge("go_memstats_heap_inuse_bytes", "Heap in use, in bytes.", float64(memory.HeapInuse))
	w.Counter("go_gc_cycles_total", "Collections of garbage that have ended.", uint64(memory.NumGC))
	if pages, ok := residentPages(); ok {
		w.Gauge("process_resident_memory_bytes", "Memory that is resident, in bytes.", float64(pages)*float64(os.Getpagesize()))
	}
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		w.Gauge("process_open_fds", "Descriptors that are open.", float64(len(open)-1)) // one of them reads the list
	}
	w.Gauge("cavra_build_info", "1; the labels say which version runs.", 1, "version", buildVersion(), "go", runtime.Version())
}

// residentPages is the second number of /proc/self/statm.
func residentPages() (pages uint64, ok bool) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	_, err = fmt.Sscanf(string(text), "%d %d", new(uint64), &pages)
	return pages, err == nil
}
