package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"countersign/workflow"
)

// Allow names receivers inside: they may be reached although their addresses are
// not public, and without TLS.
type Allow struct {
	Networks []netip.Prefix
	Hosts    []string // in lower case
}

func (a Allow) host(name string) bool {
	return slices.Contains(a.Hosts, strings.ToLower(strings.TrimSuffix(name, ".")))
}

func (a Allow) address(ip netip.Addr) bool {
	return slices.ContainsFunc(a.Networks, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// special lists networks that are not the public internet, or that lead to
// addresses written into others (IANA's special-purpose registries, RFC 6890).
// Private, loopback, link-local and multicast addresses are recognized by netip.
var special = func() (out []netip.Prefix) {
	for _, s := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
	} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}()

// public reports whether an address is on the public internet.
func public(ip netip.Addr) bool {
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && ip.Zone() == "" &&
		!slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// errInside means that a receiver must not be reached.
var errInside = errors.New("not allowed")

// plainKey marks the context of a request without TLS.
type plainKey struct{}

// dial connects to a receiver. The address is checked when it is known for certain
// and before anything is sent, so a name that has two answers, or another one each
// time, leads nowhere.
func (s *Sender) dial(ctx context.Context, network, target string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		return nil, err
	}
	plain, _ := ctx.Value(plainKey{}).(bool)
	d := net.Dialer{Resolver: s.Resolver, Timeout: timeout, KeepAlive: 15 * time.Second, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		return s.Allow.check(host, address, plain)
	}}
	return d.DialContext(ctx, network, target)
}

// check fails with errInside if the address, which the host has now, must not be
// reached.
func (a Allow) check(host, address string, plain bool) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := at.Addr().Unmap()
	switch {
	case a.host(host) || a.address(ip):
		return nil
	case !public(ip):
		return fmt.Errorf("%w: the address %s is inside; webhook-allow must name it or its host", errInside, ip)
	case plain:
		return fmt.Errorf("%w: the URL must begin with https; webhook-allow must name the host for http", errInside)
	}
	return nil
}

// CheckURL checks the URL of a webhook or a callback. It fails with
// workflow.ErrInvalid; the error does not quote the URL. Whether the host's address
// is allowed is only known when it is reached.
func (a Allow) CheckURL(text string) error {
	u, err := url.Parse(text)
	problem := ""
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		problem = "must be a whole URL, such as https://example.com/hook"
	case u.Scheme != "https" && u.Scheme != "http":
		problem = "must begin with https"
	case u.Scheme == "http" && !a.host(u.Hostname()) && len(a.Networks) == 0:
		problem = "must begin with https, unless webhook-allow names the host"
	case u.User != nil:
		problem = "must have no user name and password; deliveries are signed"
	case u.Fragment != "":
		problem = "must have no fragment (#)"
	case len(text) > maxURL:
		problem = fmt.Sprintf("must have at most %d characters", maxURL)
	}
	if problem != "" {
		return fmt.Errorf("%w: the URL %s", workflow.ErrInvalid, problem)
	}
	return nil
}

// maxURL is the maximum length of a URL in bytes.
const maxURL = 2048
