package httpd

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

var crossOrigin = http.NewCrossOriginProtection()

// Foreign reports whether a browser sent the request because a page of another
// website told it to, and the request could change something. It goes by
// Sec-Fetch-Site (W3C Fetch Metadata) and, for browsers that do not send that,
// by Origin (RFC 6454). Programs send neither header and are never foreign.
func Foreign(r *http.Request) bool { return crossOrigin.Check(r) != nil }

// OnlyHTTPS serves h. If publicURL is an https URL, every answer tells browsers
// to use nothing but https for this host during the next year (HSTS, RFC 6797).
func OnlyHTTPS(h http.Handler, publicURL string) http.Handler {
	if !strings.HasPrefix(publicURL, "https:") {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000") // seconds
		h.ServeHTTP(w, r)
	})
}

// ForHosts serves h to requests for a host name that a stranger cannot make
// lead here: an IP address, localhost and the names below it (RFC 6761, section
// 6.3), and the given names. A web page whose own name leads to this machine
// (DNS rebinding) could read the answers to any other. Those requests get
// status 421 (RFC 9110, section 15.5.20), with hint as the text. A request
// without a host name is served: no browser sends one.
func ForHosts(h http.Handler, names []string, hint string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host := hostname(r.Host); !local(host) && !slices.ContainsFunc(names, func(name string) bool { return hostname(name) == host }) {
			header := w.Header()
			header.Set("Content-Type", "text/plain; charset=utf-8")
			header.Set("Cache-Control", "no-store")
			header.Set("X-Content-Type-Options", "nosniff")
			w.WriteHeader(http.StatusMisdirectedRequest)
			_, _ = io.WriteString(w, hint+"\n") // the client may have left
			return
		}
		h.ServeHTTP(w, r)
	})
}

// hostname is the name in a Host header, in lower case, without the port and
// without the dot that may end a name.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// local reports whether the name leads to an address without a name server.
func local(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil || name == "" || name == "localhost" || strings.HasSuffix(name, ".localhost")
}
