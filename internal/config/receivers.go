package config

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
)

// receivers are networks, addresses and host names in one list.
func receivers(networks *[]netip.Prefix, hosts *[]string) value {
	set := func(text string) error {
		var nets []netip.Prefix
		var names []string
		for part := range strings.SplitSeq(text, ",") {
			var some []netip.Prefix
			switch {
			case prefixes(&some).set(part) == nil:
				nets = append(nets, some...)
			case isHostName(part):
				names = append(names, strings.ToLower(part))
			default:
				return errors.New("must be networks, addresses or host names such as 10.1.0.0/16,hooks.internal, separated by commas without spaces")
			}
		}
		*networks, *hosts = nets, names
		return nil
	}
	get := func() string {
		parts := slices.Clone(*hosts)
		for _, p := range *networks {
			parts = append(parts, p.String())
		}
		return strings.Join(parts, ",")
	}
	return value{kind: "receivers", set: set, get: get}
}
