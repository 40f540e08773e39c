package api

import "strings"

// Operations lists what the handler serves, as OpenAPI names it: "get /path".
func Operations() (all []string) {
	for _, r := range routes {
		for _, o := range r.operations {
			all = append(all, strings.ToLower(o.method)+" "+r.path)
		}
	}
	return all
}
