package show

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is the version, set when a release is built.
var release = ""

// Version names the program, its release, the Go version and the platform.
func Version() string {
	return fmt.Sprintf("countersign %s %s %s/%s", Release(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// Release is the release, or what the build knows of its source.
func Release() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return "devel-" + s.Value[:12]
			}
		}
	}
	return "devel"
}
