package measure

import "time"

// loaded is about when the process started.
var loaded = time.Now()

// ProcessStart is when the process started: by the system's clock where it
// says, to 10 ms, and otherwise when the package was loaded.
func ProcessStart() time.Time {
	if t := startedAt(); t.Before(loaded) && loaded.Sub(t) < time.Minute {
		return t
	}
	return loaded
}
